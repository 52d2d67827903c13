package patience

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// The slow clients, 10,000 in all. An upload takes three descriptors of the process, a
// download two.
const (
	headers   = 6_000
	uploads   = 1_000
	downloads = 3_000
	clients   = headers + uploads + downloads
	// descriptors is what the process needs for them.
	descriptors = 17_000

	// seconds is how many bytes each moves.
	seconds = 5
	// memory bounds the whole process, of which Caddy and the tracker are 60 MiB: what
	// remains is 40 KiB for each client.
	memory = 450 << 20
	// within bounds everything that must happen at all, on a machine that other tests
	// keep busy.
	within = time.Minute

	smallPath, largePath = "/dev1/0/000/000/0000000001.fid", "/dev1/0/000/000/0000000002.fid"
	smallSize, largeSize = 30 << 10, 8 << 20
)

func TestSlowClientsCostLittleAndDisturbNobody(t *testing.T) {
	needDescriptors(t)
	c := process.NewCluster(t, process.ClusterOptions{Binary: process.PlainBinary(t)})
	n := node{"http://" + c.StorageAddr, &http.Client{Timeout: within}}
	for path, size := range map[string]int{smallPath: smallSize, largePath: largeSize} {
		if err := n.put(path, size); err != nil {
			t.Fatal(err)
		}
	}
	n.client.CloseIdleConnections()
	goroutines, open := c.Goroutines(), c.Descriptors()
	c.ResetPeakRSS()

	all := gather(t, c)
	done := make(chan struct{})
	var others errgroup.Group
	served := 0
	others.Go(func() (err error) {
		served, err = n.use(done)
		return err
	})
	dribble(t, all)
	close(done)
	if err := others.Wait(); err != nil {
		t.Error(err)
	}
	peak := c.PeakRSS()
	t.Logf("%d slow clients: %d files were stored and read meanwhile, the peak of memory is %d MiB, %d descriptors are open",
		clients, served, peak>>20, c.Descriptors())
	if served == 0 {
		t.Error("nobody else was served")
	}
	if peak > memory {
		t.Errorf("got a peak of %d bytes of memory; want at most %d", peak, memory)
	}
	if n := c.Goroutines(); n < clients {
		t.Errorf("got %d goroutines; want one for each of %d clients: they were not served", n, clients)
	}
	vanish(t, all)
	// Caddy's own come and go.
	process.Eventually(t, within, "end of the clients' goroutines", func() bool { return c.Goroutines() <= goroutines+20 })
	process.Eventually(t, within, "end of the clients' descriptors", func() bool { return c.Descriptors() <= open+20 })
	temps, err := filepath.Glob(filepath.Join(c.Root, "dev1/0/000/*/*.tmp"))
	if err != nil || len(temps) > 0 {
		t.Errorf("got temporaries %.3q, %v; want none", temps, err)
	}
	c.Stop()
}

// needDescriptors is met by most systems' hard limit, to which Go raises its own.
func needDescriptors(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < descriptors {
		t.Fatalf("got a limit of %d open files; want %d: raise the hard limit, as with ulimit -Hn %d", limit.Max, descriptors, descriptors)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// gather connects all slow clients, and closes them in the end if nobody else has.
func gather(t *testing.T, c *process.Cluster) []*slow {
	t.Helper()
	all := make([]*slow, clients)
	t.Cleanup(func() {
		for _, s := range all {
			if s != nil {
				_ = s.Close() // it may be closed
			}
		}
	})
	var group errgroup.Group
	group.SetLimit(64)
	for i := range all {
		k := header
		switch {
		case i < uploads:
			k = upload
		case i < uploads+downloads:
			k = download
		}
		group.Go(func() (err error) {
			all[i], err = dial(c.StorageAddr, k, i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// dribble has each client move a byte in each second.
func dribble(t *testing.T, all []*slow) {
	t.Helper()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for range seconds {
		select {
		case <-second.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		for i, s := range all {
			if err := s.move(); err != nil {
				t.Fatalf("slow client %d: %v", i, err)
			}
		}
	}
}

// vanish ends all clients: every second one first closes the half it sends on. The node
// then gives up those who had something to send, though they would still listen.
func vanish(t *testing.T, all []*slow) {
	t.Helper()
	for i, s := range all {
		if i%2 == 0 {
			if err := s.CloseWrite(); err != nil {
				t.Fatalf("slow client %d: %v", i, err)
			}
		}
	}
	for i, s := range all {
		if i%2 == 0 && s.kind != download {
			if err := s.SetDeadline(time.Now().Add(within)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, s); err != nil {
				t.Fatalf("slow client %d that closed its half: %v; want an end", i, err)
			}
		}
	}
	for i, s := range all {
		if err := s.reset(); err != nil {
			t.Fatalf("slow client %d: %v", i, err)
		}
	}
}

// node is the storage node as those see it who are not slow.
type node struct {
	url    string
	client *http.Client
}

// use stores and reads files until done, and returns how many.
func (n node) use(done <-chan struct{}) (served int, err error) {
	for {
		select {
		case <-done:
			n.client.CloseIdleConnections()
			return served, nil
		default:
		}
		path := fmt.Sprintf("/dev2/0/000/000/%010d.fid", served+1)
		if err := n.put(path, smallSize); err != nil {
			return served, err
		}
		for _, path := range []string{path, smallPath} {
			if err := n.get(path, smallSize); err != nil {
				return served, err
			}
		}
		served++
	}
}

func (n node) put(path string, size int) error {
	req, err := http.NewRequest(http.MethodPut, n.url+path, bytes.NewReader(make([]byte, size)))
	if err != nil {
		return err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("PUT %s: got %s; want 201", path, resp.Status)
	}
	return nil
}

func (n node) get(path string, size int) error {
	resp, err := n.client.Get(n.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if got, err := io.Copy(io.Discard, resp.Body); got != int64(size) || resp.StatusCode != http.StatusOK || err != nil {
		return fmt.Errorf("GET %s: got %s, %d bytes, %v; want 200 and %d", path, resp.Status, got, err, size)
	}
	return nil
}
