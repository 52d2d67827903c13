package node_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

const usageFile = `available: 79027812
device: /dev/vda   
disk: /var/mogdata/dev1
time: 1795344815
total: 95501264
use: 18%
used: 16473452
`

func TestUsageReadsTheSizes(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	want := node.Usage{TotalKB: 95501264, UsedKB: 16473452}
	for _, file := range []string{
		usageFile, strings.ReplaceAll(usageFile, "\n", "\r\n"), "used:16473452\ntotal  :   95501264  \n\n\n", "total: 95501264\nused: 16473452",
	} {
		n.put("/dev1/usage", file)
		got, err := c.Usage(t.Context(), n.URL, 1)
		if got != want || err != nil {
			t.Errorf("file %q: got %+v, %v; want %+v", file, got, err, want)
		}
	}
}

func TestUsageTellsAnUnusableFileFromNone(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	for _, file := range []string{
		"", "total: 100\n", "used: 100\n", "total: 0\nused: 1\n", "total: 100\nused: 0\n", "total: -1\nused: 1\n",
		"total: many\nused: 1\n", "total: 99999999999999999999\nused: 1\n", "<html>total used</html>",
	} {
		n.put("/dev1/usage", file)
		if got, err := c.Usage(t.Context(), n.URL, 1); !errors.Is(err, node.ErrUsage) {
			t.Errorf("file %q: got %+v, %v; want %v", file, got, err, node.ErrUsage)
		}
	}
	if _, err := c.Usage(t.Context(), n.URL, 2); err == nil || errors.Is(err, node.ErrUsage) {
		t.Errorf("no file: got error %v; want another than %v", err, node.ErrUsage)
	}
}

func FuzzUsage(f *testing.F) {
	for _, s := range []string{usageFile, "total: 1\nused: 1", "total:\nused:", "\x00", "total: 1\ntotal: 2\nused: 3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		c := node.New(node.Config{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: body(file), Request: r}, nil
		})})
		u, err := c.Usage(t.Context(), "http://node", 1)
		if err == nil && (u.TotalKB <= 0 || u.UsedKB <= 0) {
			t.Errorf("file %q: got %+v without an error; want both above 0", file, u)
		}
	})
}
