package endtoend

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	// largeBytes is far more than any buffer could hide.
	largeBytes = 300 << 20
	// maxGrowth is what streaming it up, down and to the second device may add
	// to the process's memory.
	maxGrowth = 32 << 20
)

// largeBody is largeBytes of noise, and the digest of what was read of it.
func largeBody() (io.Reader, hash.Hash) {
	sum := sha256.New()
	noise := rand.NewChaCha8([32]byte{1})
	return io.TeeReader(io.LimitReader(noise, largeBytes), sum), sum
}

func TestALargeFileStreamsThroughLittleMemory(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{Binary: process.PlainBinary(t)})
	// What every first request costs is no growth.
	wantStatus(t, "PUT", c.Put("small", picture(t, 7)), http.StatusCreated)
	c.AwaitCopies(c.FID("small"), 2)
	wantStatus(t, "GET", c.Get("small"), http.StatusOK)
	before := c.RSS()
	c.ResetPeakRSS()

	body, want := largeBody()
	req := c.Request(http.MethodPut, "large", body)
	req.ContentLength = largeBytes
	reply, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "PUT of the large file", reply, http.StatusCreated)
	wantSum(t, "download", want, func(w io.Writer) error { return fetch(c, "large", w) })
	for _, name := range c.AwaitCopies(c.FID("large"), 2) {
		wantSum(t, name, want, func(w io.Writer) error { return copyFile(name, w) })
	}
	if growth := c.PeakRSS() - before; growth > maxGrowth {
		t.Errorf("got %d MiB more memory, from %d MiB; want at most %d MiB more", growth>>20, before>>20, maxGrowth>>20)
	}
}

func TestALargeFileOfUnknownLengthIsTaken(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{Binary: process.PlainBinary(t)})
	body, want := largeBody()
	reply, err := c.Do(c.Request(http.MethodPut, "large", io.LimitReader(body, largeBytes/10))) // sent in chunks
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "PUT in chunks", reply, http.StatusCreated)
	wantSum(t, "download", want, func(w io.Writer) error { return fetch(c, "large", w) })
}

func wantSum(t *testing.T, what string, want hash.Hash, copyTo func(io.Writer) error) {
	t.Helper()
	got := sha256.New()
	if err := copyTo(got); err != nil || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("%s: got digest %x (%v); want %x", what, got.Sum(nil), err, want.Sum(nil))
	}
}

func fetch(c *process.Cluster, key string, w io.Writer) error {
	resp, err := c.Send(c.Request(http.MethodGet, key, nil))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got status %d; want 200", resp.StatusCode)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

func copyFile(name string, w io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
