package upkeep

import (
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// fill has counted the PUTs; this is the installation to which nothing else happens.
func TestTwoTrackersCopyEachFileOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{apart: true})
	r.fill()
	for _, k := range r.trackers {
		process.Eventually(t, patience, "utilisation of each device", func() bool { return r.utilized(k) == len(r.living) })
		r.wantWhole(k, files)
	}
}

// utilized is of how many devices a tracker knows how busy they are.
func (r *rig) utilized(k *tracker) int {
	n := 0
	for name, value := range r.do(k, "get_devices") {
		if strings.HasSuffix(name, "_utilization") && value != "" {
			n++
		}
	}
	return n
}
