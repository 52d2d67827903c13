package client_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// old answers as trackers of MogileFS do, on a bad day: pairs in random order, the line in
// small pieces, and after it the end of the connection.
func old(answer string) move {
	return func(conn net.Conn, _ string) bool {
		status, rest, _ := strings.Cut(answer, " ")
		if status == "OK" {
			pairs := strings.Split(rest, "&")
			rand.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
			rest = strings.Join(pairs, "&")
		}
		line := []byte(status + " " + rest + "\r\n")
		for piece := range bytes.SplitSeq(line, []byte("=")) {
			if _, err := conn.Write(piece); err != nil {
				return false
			}
			if line = line[len(piece):]; len(line) > 0 {
				if _, err := conn.Write(line[:1]); err != nil {
					return false
				}
				line = line[1:]
			}
		}
		return false
	}
}

// stay is a move that goes on with the connection.
func stay(m move) move {
	return func(conn net.Conn, line string) bool {
		m(conn, line)
		return true
	}
}

// A file's life with trackers that hang up after each answer: every request meets a
// connection that has ended, or is about to.
func TestAnOldTrackerIsUnderstood(t *testing.T) {
	f := newFake(t)
	f.on("create_open", old("OK fid=7&dev_count=2&devid_1=1&path_1="+url1+"&devid_2=2&path_2="+url2))
	f.on("create_close", old("OK "))
	f.on("get_paths", stay(old("OK paths=2&path1="+url1+"&path2="+url2)))
	f.on("file_info", old(info7))
	f.on("rename", old("OK "))
	f.on("delete", old("OK "))
	c := newClient(t, addrs(f))
	for range 20 {
		opened, err := c.OpenUpload(t.Context(), client.Upload{Domain: "images", Key: "k"})
		if err != nil || opened.FID != 7 || len(opened.Destinations) != 2 {
			t.Fatalf("open: got %+v, %v; want fid 7 with two destinations", opened, err)
		}
		if err := c.CloseUpload(t.Context(), client.Closing{Domain: "images", Key: "k", FID: 7, Copy: opened.Destinations[1], Size: 5}); err != nil {
			t.Fatal(err)
		}
		loc, err := c.Locate(t.Context(), "images", "k", client.MainZone)
		if err != nil || loc.FID != 7 || loc.Length != 5 || len(loc.Copies) != 2 || loc.Copies[0] != (mogile.Copy{Dev: 1, URL: url1}) {
			t.Fatalf("locate: got %+v, %v; want fid 7 with two copies in order", loc, err)
		}
		if err := c.Rename(t.Context(), "images", "k", "l"); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), "images", "l"); err != nil {
			t.Fatal(err)
		}
	}
}
