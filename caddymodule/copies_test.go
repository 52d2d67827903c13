package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// copiesOf is how many files there are on all devices.
func (r *rig) copiesOf(fid string) (n int) {
	r.t.Helper()
	err := filepath.WalkDir(r.path("storage"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(d.Name(), fid+".fid") {
			n++
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// unreplicated is a config in which nobody makes copies but uploads.
func unreplicated(config string) string {
	return strings.Replace(config, "listen TRACKER", "listen TRACKER\n workers replicate 0", 1)
}

func TestUploadsHaveTheirCopiesBeforeTheAnswer(t *testing.T) {
	for name, config := range map[string]func(r *rig) string{
		"tracker of this process": func(*rig) string {
			return changed("methods GET PUT DELETE", "methods GET PUT DELETE\n upload {\n copies 2\n }")
		},
		"remote tracker": func(r *rig) string { return r.remote("upload {\n copies 2\n }") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.run(unreplicated(config(r)))
			r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
			got := r.say("file_info domain=images&key=key")
			if !strings.Contains(got, "devcount=2") || r.copiesOf("0000000001") != 2 {
				t.Errorf("got %q and %d files; want two copies", got, r.copiesOf("0000000001"))
			}
			r.wantBody("/images/key", "content")
		})
	}
}

// oldTracker relays to the tracker, but does not know the commands that MogileFS's don't.
func (r *rig) oldTracker() string {
	ln := listenLoopback(r.t)
	ctx, end := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			serving.Go(func() { r.relay(conn) })
		}
	})
	r.t.Cleanup(func() {
		ln.Close()
		end()
		serving.Wait()
	})
	return ln.Addr().String()
}

func (r *rig) relay(conn net.Conn) {
	defer conn.Close()
	up, err := net.Dial("tcp", r.tracker)
	if err != nil {
		return
	}
	defer up.Close()
	in, answers := bufio.NewReader(conn), bufio.NewReader(up)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := "ERR unknown_command Unknown+server+command\r\n"
		if command, _, _ := strings.Cut(line, " "); command != "create_close_copies" && command != "fsck_file" {
			fmt.Fprint(up, line)
			if answer, err = answers.ReadString('\n'); err != nil {
				return
			}
		}
		fmt.Fprint(conn, answer)
	}
}

func TestATrackerThatKnowsNoSecondCopyIsLeftNoneOnADisk(t *testing.T) {
	r := newRig(t)
	old := r.oldTracker()
	r.run(unreplicated(changed("methods GET PUT DELETE", "methods GET PUT DELETE\n tracker "+old+"\n upload {\n copies 2\n }")))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	got := r.say("file_info domain=images&key=key")
	if !strings.Contains(got, "devcount=1") || r.copiesOf("0000000001") != 1 {
		t.Errorf("got %q and %d files; want one copy", got, r.copiesOf("0000000001"))
	}
	r.wantBody("/images/key", "content")
}
