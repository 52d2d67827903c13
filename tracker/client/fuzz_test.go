package client_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// FuzzAnswers has a tracker answer everything with the same bytes: whatever they are, each
// method comes back, and what it returns without an error can be used.
func FuzzAnswers(f *testing.F) {
	for _, answer := range []string{
		"OK \r\n", "OK paths=1&path1=" + url1 + "\r\n" + info7 + "\r\n", info7 + "\r\n" + info7 + "\r\n", unknown + "\r\n",
		"OK fid=7&dev_count=1&devid_1=1&path_1=" + url1 + "\r\n", known + "\r\n", both + "\r\n", "HTTP/1.1 400\r\n", "OK fid=7",
		"OK hosts=99999999999&devices=99999999999&domains=99999999999&paths=99999999999&dev_count=9999999\r\n", "\r\n", "",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c, err := client.New(client.Config{
			Addresses: []string{"tracker"}, Timeout: time.Second, NodeTimeout: time.Second,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					buf := make([]byte, 4096)
					_, _ = theirs.Read(buf)
					_, _ = theirs.Write(answer)
					theirs.Close()
				}()
				return ours, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx := t.Context()
		if loc, err := c.Locate(ctx, "d", "k", client.MainZone); err == nil {
			for _, at := range loc.Copies {
				if at.URL == "" || at.Dev == 0 || loc.FID == 0 || loc.Length < 0 {
					t.Errorf("%q: got location %+v", answer, loc)
				}
			}
		}
		if o, err := c.OpenUpload(ctx, client.Upload{Domain: "d"}); err == nil && (o.FID == 0 || len(o.Destinations) == 0) {
			t.Errorf("%q: got upload %+v", answer, o)
		}
		hosts, _ := c.Hosts(ctx)
		devices, _ := c.Devices(ctx)
		domains, _ := c.Domains(ctx)
		for _, d := range devices {
			if d.ID == 0 {
				t.Errorf("%q: got device %+v", answer, d)
			}
		}
		if len(hosts)+len(domains) > len(answer) {
			t.Errorf("%q: got %d hosts and %d domains", answer, len(hosts), len(domains))
		}
		_, err = c.Do(ctx, "plugin_x", protocol.Pairs{})
		if err == io.EOF {
			t.Errorf("%q: got a bare %v", answer, err)
		}
	})
}
