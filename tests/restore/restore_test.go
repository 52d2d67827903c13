package restore

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

func TestMain(m *testing.M) { database.Main(m) }

const (
	// before is how many files there are when the database is saved.
	before = 20
	// within bounds what jobs take.
	within = 4 * process.CopiedWithin
	// given is a number that the page has as an example.
	given = "30000000"
)

func TestWhatWasSavedIsThereAgain(t *testing.T) {
	for name, kind := range map[string]func(*testing.T) installed{"SQLite": onSQLite, "MariaDB": onMariaDB, "PostgreSQL": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := kind(t)
			c := process.NewCluster(t, process.ClusterOptions{Database: on.caddyfile})
			for i := range before {
				put(t, c, old(i))
			}
			saveInUse(t, on, c)
			// What comes now is lost.
			put(t, c, old(1))
			if reply := c.Delete(old(0)); reply.Status != http.StatusNoContent {
				t.Fatalf("delete: got %d; want 204", reply.Status)
			}
			put(t, c, "after")
			highest := int64(c.FID("after"))
			c.AwaitSettled(within)

			c.Kill()
			on.run(t, line(t, "Restoring it", on.restore))
			name := on.run(t, strings.ReplaceAll(line(t, "Restoring it", "find "), "/var/mogdata", c.Root))
			if n, err := strconv.ParseInt(strings.TrimSuffix(name, ".fid"), 10, 64); err != nil || n != highest {
				t.Errorf("highest file name: got %q; want that of %d", name, highest)
			}
			on.tell(t, strings.ReplaceAll(line(t, "Restoring it", on.raise), given, strconv.FormatInt(highest+100, 10)))
			c.Restart()

			put(t, c, "new")
			if fid := int64(c.FID("new")); fid <= highest {
				t.Errorf("new file: got number %d; want more than %d, which was given", fid, highest)
			}
			wantSaved(t, c)
			wantFsck(t, c)
		})
	}
}

func old(i int) string { return fmt.Sprintf("old/%02d", i) }

// content is what lies under a key; that of a key that is put again is the same.
func content(key string) []byte { return bytes.Repeat([]byte(key+"\n"), 500) }

func put(t *testing.T, c *process.Cluster, key string) {
	t.Helper()
	if reply := c.Put(key, content(key)); reply.Status != http.StatusCreated {
		t.Fatalf("put %s: got %d with %.200q; want 201", key, reply.Status, reply.Body)
	}
}

// saveInUse saves while a client uploads.
func saveInUse(t *testing.T, on installed, c *process.Cluster) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- upload(c, done) }()
	on.run(t, line(t, "Saving the metadata", on.save))
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func upload(c *process.Cluster, done <-chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-done:
			return nil
		default:
		}
		key := fmt.Sprintf("during/%04d", i)
		reply, err := c.Do(c.Request(http.MethodPut, key, bytes.NewReader(content(key))))
		if err != nil || reply.Status != http.StatusCreated {
			return fmt.Errorf("put %s: got %d, %w; want 201", key, reply.Status, err)
		}
	}
}

// wantSaved reads all keys that there are. Two were deleted or replaced after they were saved, so
// their bytes are gone.
func wantSaved(t *testing.T, c *process.Cluster) {
	t.Helper()
	keys := map[string]bool{}
	for _, key := range c.Keys() {
		keys[key] = true
		gone := key == old(0) || key == old(1)
		reply := c.Get(key)
		if gone && reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%s, which has lost its bytes: got %d; want 503", key, reply.Status)
		}
		if !gone && (reply.Status != http.StatusOK || !bytes.Equal(reply.Body, content(key))) {
			t.Errorf("%s: got %d and %d bytes; want what was uploaded", key, reply.Status, len(reply.Body))
		}
	}
	for i := range before {
		if !keys[old(i)] {
			t.Errorf("%s: got no such key; want all that were saved", old(i))
		}
	}
	if keys["after"] {
		t.Error("got the key of after the save; want it lost")
	}
}

// wantFsck checks all files, and finds two that are gone.
func wantFsck(t *testing.T, c *process.Cluster) {
	t.Helper()
	c.Ask("fsck_start")
	process.Eventually(t, within, "end of the check", func() bool { return c.Ask("fsck_status").Get("running") == "0" })
	log := c.Ask("fsck_getlog")
	gone := map[string]bool{}
	for name := range log {
		if row, is := strings.CutSuffix(name, "_evcode"); is && log.Get(name) == "GONE" {
			gone[log.Get(row+"_fid")] = true
		}
	}
	if len(gone) != 2 {
		t.Errorf("got fids %v that a check says are GONE; want two", gone)
	}
}
