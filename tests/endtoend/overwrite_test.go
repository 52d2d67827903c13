package endtoend

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	racers       = 32 // readers, and writers
	racerUploads = 10 // of each writer
)

// numbered is a content that tells which it is in every part of itself, so that a
// mixture of two can't pass for one. Its length differs from its neighbours'.
func numbered(n int) []byte {
	word := binary.BigEndian.AppendUint64(nil, uint64(n))
	return bytes.Repeat(word, 1000+n)
}

// numberOf is the inverse of numbered.
func numberOf(body []byte) (int, error) {
	if len(body) < 8 {
		return 0, fmt.Errorf("%d bytes are no upload", len(body))
	}
	n := int(binary.BigEndian.Uint64(body))
	if n > 1<<20 || !bytes.Equal(body, numbered(n)) {
		return 0, fmt.Errorf("%d bytes that begin with %x are no upload, or not the whole", len(body), body[:8])
	}
	return n, nil
}

// upload and download are what racers do; they fail on every status but success.
func upload(c *process.Cluster, key string, n int) error {
	reply, err := c.Do(c.Request(http.MethodPut, key, bytes.NewReader(numbered(n))))
	if err != nil {
		return fmt.Errorf("upload %s: %w", key, err)
	}
	if reply.Status != http.StatusCreated {
		return fmt.Errorf("upload %s: got status %d with %.200q; want 201", key, reply.Status, reply.Body)
	}
	return nil
}

func download(c *process.Cluster, key string) (n int, etag string, err error) {
	reply, err := c.Do(c.Request(http.MethodGet, key, nil))
	if err != nil {
		return 0, "", fmt.Errorf("download %s: %w", key, err)
	}
	if reply.Status != http.StatusOK {
		return 0, "", fmt.Errorf("download %s: got status %d with %.200q; want 200", key, reply.Status, reply.Body)
	}
	n, err = numberOf(reply.Body)
	return n, reply.Header.Get("Etag"), err
}

func TestReadersOfAKeyThatManyOverwriteSeeWholeContents(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	if err := upload(c, "contested", 0); err != nil {
		t.Fatal(err)
	}
	var contents sync.Map // number by ETag: a tag names one content for ever
	writers, done := new(errgroup.Group), make(chan struct{})
	for w := range racers {
		writers.Go(func() error {
			for i := range racerUploads {
				if err := upload(c, "contested", 1+w*racerUploads+i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	readers := readUntil(done, racers, func() error {
		n, etag, err := download(c, "contested")
		if err != nil {
			return err
		}
		if other, known := contents.LoadOrStore(etag, n); known && other != n {
			return fmt.Errorf("ETag %s: got content %d and content %d; want one", etag, other, n)
		}
		return nil
	})
	if err := writers.Wait(); err != nil {
		t.Error(err)
	}
	close(done)
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
	c.AwaitSettled(2 * process.CopiedWithin)
}

func TestAWriterReadsWhatItWroteWhileOthersRead(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	const keys = 8
	keyOf := func(i int) string { return fmt.Sprintf("key %d", i%keys) }
	for k := range keys {
		if err := upload(c, keyOf(k), 0); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var turn sync.Mutex // guards next
	next := 0
	readers := readUntil(done, racers, func() error {
		turn.Lock()
		next++
		key := keyOf(next)
		turn.Unlock()
		_, _, err := download(c, key)
		return err
	})
	writers := new(errgroup.Group)
	for k := range keys {
		writers.Go(func() error { return writeAndRead(c, keyOf(k)) })
	}
	if err := writers.Wait(); err != nil {
		t.Error(err)
	}
	close(done)
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}

// writeAndRead is the only writer of a key: every read must give the last write.
func writeAndRead(c *process.Cluster, key string) error {
	for want := 1; want <= racerUploads; want++ {
		if err := upload(c, key, want); err != nil {
			return err
		}
		got, _, err := download(c, key)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s: got content %d after content %d was written; want that", key, got, want)
		}
	}
	return nil
}

// readUntil has n goroutines read over and over until done is closed.
func readUntil(done <-chan struct{}, n int, read func() error) *errgroup.Group {
	group := new(errgroup.Group)
	for range n {
		group.Go(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				if err := read(); err != nil {
					return err
				}
			}
		})
	}
	return group
}
