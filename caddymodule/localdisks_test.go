package caddymodule

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
)

func TestATrackerLooksAtTheDisksThatAreHereNow(t *testing.T) {
	r := newRig(t)
	deaf := "route {\n @head method HEAD\n respond @head 500\n mogilefs_storage\n}" // only its disks tell lengths
	r.run(changed("mogilefs_storage", deaf))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	finds := func(want bool) {
		t.Helper()
		if got := r.say("get_paths domain=images&key=key"); strings.Contains(got, "path1=") != want {
			t.Errorf("get_paths: got %q; want paths %v", got, want)
		}
	}
	finds(true)
	r.run(changed("mogilefs_storage", deaf, "http://PUBLIC", "http://PUBLIC, http://other.localhost:81"))
	finds(true)
	r.run(changed("mogilefs_storage", deaf, "address NODE", "address 127.0.0.1:1", "\t\t\tregister\n", ""))
	finds(false)
}

func TestLengthsAreThoseOfFilesOfFids(t *testing.T) {
	r := newRig(t)
	r.run(unreplicated(base))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	dev := "1"
	if strings.Contains(r.say("get_paths domain=images&key=key&noverify=1"), "/dev2/") {
		dev = "2"
	}
	disks := active(t).disks()
	for _, q := range []struct {
		url  string
		n    int64
		here bool
		err  error
	}{
		{"http://" + r.node + "/dev" + dev + "/0/000/000/0000000001.fid", 7, true, nil},
		{"http://" + r.node + "/dev" + dev + "/0/000/000/0000000002.fid", 0, true, fs.ErrNotExist},
		{"http://" + r.node + "/dev3/0/000/000/0000000001.fid", 0, false, nil},
		{"http://" + r.node + "/dev" + dev + "/usage", 0, false, nil},
		{"http://" + r.node + "/dev" + dev + "/../dev1/0/000/000/0000000001.fid", 0, false, nil},
		{"http://" + r.node, 0, false, nil},
		{"http://" + r.public + "/dev" + dev + "/0/000/000/0000000001.fid", 0, false, nil},
		{"https://" + r.node + "/dev" + dev + "/0/000/000/0000000001.fid", 0, false, nil},
		{"", 0, false, nil},
	} {
		if n, here, err := disks.Size(q.url); n != q.n || here != q.here || !errors.Is(err, q.err) {
			t.Errorf("%s: got %d, %v, %v; want %d, %v, %v", q.url, n, here, err, q.n, q.here, q.err)
		}
	}
}
