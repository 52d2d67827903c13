package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// crashPath tells a copy of this program to be the one that is killed.
const crashPath = "SQLSTORE_CRASH_PATH"

// uploadForEver prints "fid key" of each upload once it is acknowledged.
func uploadForEver(path string) error {
	s, err := sqlstore.OpenSQLite(context.Background(), path, zap.NewNop())
	if err != nil {
		return err
	}
	// The child before this one may have made it already.
	if _, err := s.CreateDomain(context.Background(), "d"); err != nil && !errors.Is(err, store.ErrDup) {
		return err
	}
	var mu sync.Mutex // guards the output
	failed := make(chan error)
	for worker := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := mogile.Key(fmt.Sprintf("%d/%d", worker, i%50))
				fid, err := s.OpenUpload(context.Background(), store.Upload{Domain: 1, Key: key})
				if err == nil {
					_, err = s.CloseUpload(context.Background(), store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key})
				}
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println(fid, key)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// acknowledged runs a child until it has acknowledged n uploads, kills it, and
// returns all it had acknowledged.
func acknowledged(t *testing.T, path string, n int) map[mogile.FID]mogile.Key {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashPath+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[mogile.FID]mogile.Key{}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a line without an end was not acknowledged
		}
		var fid mogile.FID
		var key mogile.Key
		if _, err := fmt.Fscan(strings.NewReader(line), &fid, &key); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		acked[fid] = key
		if len(acked) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); len(acked) < n {
		t.Fatalf("child: got %d acknowledgements and %v; want at least %d", len(acked), err, n)
	}
	return acked
}

// TestAKilledProcessLosesNoAcknowledgedUpload kills several processes, one after the
// other, at random moments of their work on one database.
func TestAKilledProcessLosesNoAcknowledgedUpload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mogilefs.db")
	seen := map[mogile.FID]bool{}
	for round := range 4 {
		n := 1 + rand.IntN(400)
		acked := acknowledged(t, path, n)
		t.Logf("round %d: killed after %d acknowledgements, got %d", round, n, len(acked))
		s := openPath(t, path)
		for fid, key := range acked {
			if seen[fid] {
				t.Errorf("fid %d: got it again after a crash; want it once", fid)
			}
			seen[fid] = true
			checkSurvived(t, s, fid, key)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: got %v; want nil", err)
		}
	}
}

// checkSurvived: the upload is the content of its key, or was replaced by a later
// one and queued for deletion. Its copy is known in both cases.
func checkSurvived(t *testing.T, s store.Store, fid mogile.FID, key mogile.Key) {
	t.Helper()
	f, err := s.FileByKey(t.Context(), 1, key)
	if err != nil || f.FID < fid {
		t.Errorf("key %s: got fid %d, error %v; want %d or a later one", key, f.FID, err, fid)
	}
	q := store.ReplicateQueue
	if f.FID != fid {
		q = store.DeleteQueue
	}
	if _, err := s.Queued(t.Context(), q, fid); err != nil {
		t.Errorf("fid %d in %s: got %v; want a row", fid, q, err)
	}
	if devs, err := s.Devices(t.Context(), fid); err != nil || len(devs) != 1 {
		t.Errorf("devices of fid %d: got %v, error %v; want one", fid, devs, err)
	}
}
