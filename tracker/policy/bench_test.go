package policy_test

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

// BenchmarkDecide has a content file in a cluster of 100 devices, as fsck finds most.
func BenchmarkDecide(b *testing.B) {
	f := policy.Facts{Min: 2}
	for i := range 100 {
		f.Candidates = append(f.Candidates, policy.Device{
			ID: mogile.DevID(i + 1), Host: mogile.HostID(i/4 + 1), State: mogile.DevAlive,
			Zone: []string{"near", "far"}[i%8/4], Network: []string{"near", "far"}[i%8/4], TakesNewFiles: true,
		})
	}
	f.Copies = []policy.Device{f.Candidates[0], f.Candidates[7]}
	for _, text := range []string{
		"MultipleHosts()", "MultipleDevices()", "MultipleNetworks()", "HostsPerNetwork(near=1,far=1)",
		"Union(MultipleHosts(2),HostsPerNetwork(far=1))",
	} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := policy.Parse(text)
				if err != nil {
					b.Fatal(err)
				}
				if got := p.Decide(f); got.Verdict != policy.AllGood {
					b.Fatalf("got %s", say(got))
				}
			}
		})
	}
}
