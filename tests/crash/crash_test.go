package crash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	rounds     = 10
	uploads    = 200 // at once, of each round; some overwrite
	overwrites = 20  // of the uploads
	deletions  = 20  // at once with the uploads
	readers    = 16  // how many read what is there after the restart
)

// large is a bit of the numbers of contents that are sixteen times as large as others.
const large = 1 << 30

// content is a file that tells its number everywhere, of 1 to 64 KiB.
func content(n int) []byte {
	word := binary.BigEndian.AppendUint64(nil, uint64(n))
	size := (1 + n%64) << 7
	if n&large != 0 {
		size <<= 4
	}
	return bytes.Repeat(word, size)
}

// numberOf is the inverse of content.
func numberOf(body []byte) (int, error) {
	if len(body) < 8 {
		return 0, fmt.Errorf("%d bytes are no upload", len(body))
	}
	n := int(binary.BigEndian.Uint64(body))
	if !bytes.Equal(body, content(n)) {
		return 0, fmt.Errorf("%d bytes that begin with %x are not a whole upload", len(body), body[:8])
	}
	return n, nil
}

// change is an upload of a content, or a deletion when that is absent.
type change struct {
	key     string
	content int
}

func (ch change) request(c *process.Cluster) (req *http.Request, want int) {
	if ch.content == absent {
		return c.Request(http.MethodDelete, ch.key, nil), http.StatusNoContent
	}
	return c.Request(http.MethodPut, ch.key, bytes.NewReader(content(ch.content))), http.StatusCreated
}

// plan makes a round's changes, each of another key.
func plan(l *ledger, round int) []change {
	old := l.present()
	rand.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
	var changes []change
	for i := range uploads {
		ch := change{key: fmt.Sprintf("round %d, %d", round, i), content: round*uploads + i}
		if i < overwrites && len(old) > 0 {
			ch.key, old = old[0], old[1:]
		}
		changes = append(changes, ch)
	}
	for range min(deletions, len(old)) {
		changes = append(changes, change{old[0], absent})
		old = old[1:]
	}
	return changes
}

func TestAcknowledgedFilesSurviveKills(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	l := newLedger()
	for round := range rounds {
		changes := plan(l, round)
		killAfter := 1 + rand.IntN(len(changes)-1)
		acknowledged := run(t, l, changes, killAfter, c.Kill, func(ch change) (bool, error) {
			req, want := ch.request(c)
			reply, err := c.Do(req)
			if err == nil && reply.Status != want {
				return false, fmt.Errorf("%s %q: got status %d with %.200q; want %d", req.Method, ch.key, reply.Status, reply.Body, want)
			}
			return err == nil, nil // else it was killed: nothing is known
		})
		t.Logf("round %d: killed after %d answers, %d of %d changes acknowledged", round, killAfter, acknowledged, len(changes))
		c.Restart()
		compare(t, c, l)
		c.AwaitReplicated(2 * process.CopiedWithin)
		if t.Failed() {
			return
		}
	}
	c.Stop()
	c.Restart()
	compare(t, c, l)
}

// run sends all changes at once and kills after so many were acknowledged. It returns how
// many were in the end.
func run(t *testing.T, l *ledger, changes []change, killAfter int, kill func(), send func(change) (acknowledged bool, err error)) int {
	t.Helper()
	answers := make(chan struct{}, len(changes))
	var senders errgroup.Group
	for _, ch := range changes {
		l.begin(ch.key, ch.content)
		senders.Go(func() error {
			acknowledged, err := send(ch)
			if acknowledged {
				l.settle(ch.key, ch.content)
				answers <- struct{}{}
			}
			return err
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- senders.Wait(); close(answers) }() // received below
	for range killAfter {
		<-answers
	}
	kill()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	more := 0
	for range answers {
		more++
	}
	return killAfter + more
}

// compare reads every key and settles the ledger on what is there.
func compare(t *testing.T, c *process.Cluster, l *ledger) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(readers)
	var mu sync.Mutex // guards visible
	var visible []string
	for _, key := range l.keys() {
		group.Go(func() error {
			got, err := read(c, key)
			if err != nil {
				return err
			}
			if !l.allows(key, got) {
				return fmt.Errorf("%q: got content %d; want one of %v", key, got, l.possible[key])
			}
			l.settle(key, got)
			if got != absent {
				mu.Lock()
				visible = append(visible, key)
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(visible)
	listed := c.Keys()
	slices.Sort(listed)
	if !slices.Equal(listed, visible) {
		t.Errorf("got %d keys listed, %d readable; want the same", len(listed), len(visible))
	}
}

// read returns the number of a key's content, or absent.
func read(c *process.Cluster, key string) (int, error) {
	reply, err := c.Do(c.Request(http.MethodGet, key, nil))
	switch {
	case err != nil:
		return 0, fmt.Errorf("read %q: %w", key, err)
	case reply.Status == http.StatusNotFound:
		return absent, nil
	case reply.Status != http.StatusOK:
		return 0, fmt.Errorf("read %q: got status %d with %.200q; want 200 or 404", key, reply.Status, reply.Body)
	}
	n, err := numberOf(reply.Body)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", key, err)
	}
	return n, nil
}
