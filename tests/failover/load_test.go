package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// clients is how many connections read at the same time.
	clients = 64
	// every is how often each of them asks, if it is not busy: the machine has other
	// work, and what is measured is what nodes do to the edge.
	every = 250 * time.Millisecond
	// largest is the largest file.
	largest = 20 << 20
	// small files are those whose times are compared: larger ones take as long as the
	// machine lets them.
	small = 256 << 10
)

// noise is what all contents are cut out of.
var noise = func() []byte {
	b := make([]byte, largest)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}()

// file is one of those that are read. Its content begins at a place of its own in the
// noise and goes round.
type file struct {
	key  string
	off  int
	size int
}

// from is the content from a place on, up to n bytes, in two pieces.
func (f file) from(at, n int) (a, b []byte) {
	begin := (f.off + at) % largest
	a = noise[begin:min(begin+n, largest)]
	return a, noise[:n-len(a)]
}

func (f file) content() []byte {
	a, b := f.from(0, f.size)
	return slices.Concat(a, b)
}

// files is how many there are of each size. The readers choose by that, too.
func files() (all []file) {
	for _, kind := range []struct{ size, n int }{
		{4 << 10, 40}, {30 << 10, 30}, {200 << 10, 20}, {1 << 20, 5}, {5 << 20, 2}, {largest, 1},
	} {
		for range kind.n {
			all = append(all, file{key: fmt.Sprintf("file-%d", len(all)), off: 7919 * len(all), size: kind.size})
		}
	}
	return all
}

// sample is one request of a small file that succeeded.
type sample struct {
	began time.Time
	took  time.Duration
}

// load is all clients at work.
type load struct {
	site   *site
	files  []file
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex // guards the rest
	samples []sample
	bytes   int64
	done    int
	failed  []error
}

func (s *site) startLoad(files []file) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{site: s, files: files, cancel: cancel}
	for i := range clients {
		l.all.Go(func() {
			<-time.After(every * time.Duration(i) / clients) // not all at once
			l.run(ctx, rand.New(rand.NewPCG(1, uint64(i))))
		})
	}
	return l
}

// stop ends the load, after the requests that are under way.
func (l *load) stop() {
	l.cancel()
	l.all.Wait()
}

func (l *load) run(ctx context.Context, rnd *rand.Rand) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f := l.files[rnd.IntN(len(l.files))]
		at, n := 0, f.size
		if rnd.IntN(4) == 0 { // a part
			at = rnd.IntN(f.size)
			n = 1 + rnd.IntN(f.size-at)
		}
		began := time.Now()
		err := l.site.read(f, at, n)
		l.note(f, n, sample{began, time.Since(began)}, err)
	}
}

func (l *load) note(f file, n int, s sample, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	l.bytes += int64(n)
	if err != nil {
		l.failed = append(l.failed, fmt.Errorf("%s after %v: %w", s.began.Format("15:04:05.000"), s.took.Round(time.Millisecond), err))
	}
	if f.size <= small {
		l.samples = append(l.samples, s)
	}
}

// read reads n bytes of a file and compares them.
func (s *site) read(f file, at, n int) error {
	req, err := http.NewRequest(http.MethodGet, s.url+f.key, nil)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if at != 0 || n != f.size {
		status = http.StatusPartialContent
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+n-1))
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != status || resp.ContentLength != int64(n) {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("get %s: got %s, %d bytes, %q; want %d and %d bytes", f.key, resp.Status, resp.ContentLength, text, status, n)
	}
	a, b := f.from(at, n)
	if err := same(resp.Body, a, b); err != nil {
		return fmt.Errorf("get %s, %d bytes at %d: %w", f.key, n, at, err)
	}
	return nil
}

var errDiffers = errors.New("body differs")

// same compares a body with its pieces.
func same(body io.Reader, pieces ...[]byte) error {
	buf := make([]byte, 32<<10)
	for _, want := range append(pieces, nil) {
		for len(want) > 0 {
			n, err := io.ReadFull(body, buf[:min(len(buf), len(want))])
			if err != nil {
				return err
			}
			if !bytes.Equal(buf[:n], want[:n]) {
				return errDiffers
			}
			want = want[n:]
		}
	}
	if n, err := body.Read(buf[:1]); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: it goes on", errDiffers)
	}
	return nil
}

// between is the times of the small requests that began between the two.
func (l *load) between(from, to time.Time) (took []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.samples {
		if !s.began.Before(from) && s.began.Before(to) {
			took = append(took, s.took)
		}
	}
	return took
}

// p99 is what 99 of 100 requests are done in, and their longest.
func p99(took []time.Duration) (usual, longest time.Duration) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)*99/100], took[len(took)-1]
}
