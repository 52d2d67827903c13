package storage_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

func TestDeleteOfAllKindsOfPath(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "x")
	s.mustPut(t, "/dev1/0/000/000/0000000002.fid", "x")
	for _, c := range []struct {
		path   string
		status int
	}{
		{fidPath + "/", 404},
		{fidPath, 204},
		{fidPath, 404},
		{"/dev1/0/000/000", 403},
		{"/dev1/0/000/000/", 403},
		{"/dev1/nothing/", 404},
		{"/dev1", 403},
		{"/dev1/", 403},
		{"/dev9", 404},
		{"/dev9/x", 404},
		{"/", 403},
		{"/foo", 404},
		{"/dev1/../dev2/x", 403},
		{"/dev1/a%20b", 400},
		{"/dev1/.hidden", 400},
		{"//dev1/0/000/000/0000000002.fid", 204},
		{"/dev1/0/000/000", 403}, // empty, and stays
	} {
		if a := s.do(t, "DELETE", c.path, ""); a.status != c.status {
			t.Errorf("DELETE %s: got %d %s; want %d", c.path, a.status, a.body, c.status)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"MKCOL", "/dev1/0/", 400},
		{"MKCOL", "/dev1/../", 403},
		{"POST", fidPath, 405},
		{"OPTIONS", fidPath, 405},
		{"MOVE", fidPath, 405},
		{"PROPFIND", "/", 405},
	} {
		a := s.do(t, c.method, c.path, "")
		if a.status != c.status {
			t.Errorf("%s %s: got %d; want %d", c.method, c.path, a.status, c.status)
		}
		if a.status == 405 && !strings.Contains(a.header.Get("Allow"), "PUT") {
			t.Errorf("%s: Allow is %q", c.method, a.header.Get("Allow"))
		}
	}
	if got := s.stored(t); len(got) != 0 {
		t.Errorf("stored: got %v; want nothing", got)
	}
}

// forbidden is a disk whose directories may not be changed.
type forbidden struct{ disk.FS }

func (forbidden) Remove(disk.Site, string) error {
	return &fs.PathError{Op: "unlinkat", Path: "/secret", Err: syscall.EACCES}
}

func TestDeleteWithoutPermissionIs403(t *testing.T) {
	config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}}
	s := serverWith(t, config, func(path string) (disk.FS, error) {
		dir, err := disk.OpenFS(path)
		return forbidden{dir}, err
	})
	s.mustPut(t, fidPath, "x")
	if a := s.do(t, "DELETE", fidPath, ""); a.status != 403 || strings.Contains(a.body, "secret") {
		t.Errorf("got %d %s; want 403 without a path of the system", a.status, a.body)
	}
	if a := s.do(t, "GET", fidPath, ""); a.body != "x" {
		t.Errorf("after it: got %d %q; want the file", a.status, a.body)
	}
}
