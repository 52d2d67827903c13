package upkeep

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// accessLog is where a node writes, in its directory, what it was asked.
const accessLog = "access.log"

// count asks the database for a number.
func (r *rig) count(query string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.db.QueryRowContext(r.t.Context(), query, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// copiesOn is how many copies the tracker knows on a device.
func (r *rig) copiesOn(dev mogile.DevID) int {
	r.t.Helper()
	return r.count("SELECT COUNT(*) FROM file_on WHERE devid = ?", dev)
}

// holders is which devices have a copy, of each fid that has a key below the given number.
func (r *rig) holders(below int) map[mogile.FID][]mogile.DevID {
	r.t.Helper()
	rows, err := r.db.QueryContext(r.t.Context(),
		"SELECT fid, devid FROM file JOIN file_on USING (fid) WHERE dkey < ? ORDER BY fid, devid", string(key(below)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	found := map[mogile.FID][]mogile.DevID{}
	for rows.Next() {
		var fid mogile.FID
		var dev mogile.DevID
		if err := rows.Scan(&fid, &dev); err != nil {
			r.t.Fatal(err)
		}
		found[fid] = append(found[fid], dev)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return found
}

// awaitIdle waits until there is nothing left to do: no queue has a row.
func (r *rig) awaitIdle() {
	r.t.Helper()
	var left string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("left in the queues: %s", left)
		}
	}()
	process.Eventually(r.t, patience, "empty queues", func() bool {
		n := 0
		left = ""
		for _, queue := range []string{"file_to_replicate", "file_to_queue", "file_to_delete2"} {
			rows := r.count("SELECT COUNT(*) FROM " + queue)
			left += fmt.Sprintf("%s %d ", queue, rows)
			n += rows
		}
		return n == 0
	})
}

// put is a line of a node's access log.
type put struct {
	Request struct{ Method, URI string } `json:"request"`
	Status  int                          `json:"status"`
}

var fidPath = regexp.MustCompile(`^/dev\d+/\d/\d{3}/\d{3}/\d{10}\.fid$`)

// puts is how often the nodes took the content of each fid, and how often in all.
func (r *rig) puts() (each map[mogile.FID]int, all int) {
	r.t.Helper()
	each = map[mogile.FID]int{}
	for _, n := range r.nodes {
		f, err := os.Open(filepath.Join(n.Dir, accessLog))
		if err != nil {
			r.t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var p put
			if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
				continue // it is being written
			}
			if p.Request.Method != http.MethodPut || p.Status != http.StatusCreated || !fidPath.MatchString(p.Request.URI) {
				continue
			}
			_, fid, err := mogile.ParsePath(p.Request.URI)
			if err != nil {
				r.t.Fatal(err)
			}
			each[fid]++
			all++
		}
	}
	return each, all
}

// wantCopiedOnce fails unless the nodes took each file twice: from the client, and from one
// tracker. The other one left it alone.
func (r *rig) wantCopiedOnce() {
	r.t.Helper()
	process.Eventually(r.t, patience, "line in the access logs for each copy", func() bool {
		_, all := r.puts()
		return all >= 2*files
	})
	each, all := r.puts()
	for fid, n := range each {
		if n != 2 {
			r.t.Errorf("fid %d: got %d PUTs; want one by the client and one by a tracker", fid, n)
		}
	}
	if all != 2*files {
		r.t.Errorf("got %d PUTs of %d files; want %d", all, files, 2*files)
	}
}

// get reads one copy.
func (r *rig) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return body, err
}

// wantWhole fails unless all files up to a number have two whole copies, on two hosts and on
// living devices, and unless the database says the same and nothing else.
func (r *rig) wantWhole(k *tracker, upTo int) {
	r.t.Helper()
	var mu sync.Mutex // guards wrong
	var wrong []string
	looks, ctx := errgroup.WithContext(r.t.Context())
	looks.SetLimit(clients)
	for i := range upTo {
		looks.Go(func() error {
			if err := r.lookAt(ctx, k, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, err.Error())
			}
			return nil
		})
	}
	_ = looks.Wait()
	if len(wrong) > 0 {
		r.t.Errorf("got %d of %d files that are not as they should be, such as %q", len(wrong), upTo, wrong[:min(5, len(wrong))])
	}
	for what, query := range map[string]string{
		"files with a wrong devcount": "SELECT COUNT(*) FROM file WHERE devcount <> 2 OR 2 <> (SELECT COUNT(*) FROM file_on o WHERE o.fid = file.fid)",
		"copies of nothing":           "SELECT COUNT(*) FROM file_on LEFT JOIN file USING (fid) WHERE file.fid IS NULL",
		"files without a checksum":    "SELECT COUNT(*) FROM file LEFT JOIN checksum USING (fid) WHERE checksum.fid IS NULL",
	} {
		if n := r.count(query); n != 0 {
			r.t.Errorf("got %d %s; want none", n, what)
		}
	}
	if n := r.count("SELECT COUNT(*) FROM file"); n != upTo {
		r.t.Errorf("got %d files; want %d, which were acknowledged", n, upTo)
	}
	r.logf("%d files were looked at", upTo)
}

func (r *rig) lookAt(ctx context.Context, k *tracker, i int) error {
	at, err := k.Locate(ctx, domain, key(i), "")
	if err != nil {
		return fmt.Errorf("%s: %w", key(i), err)
	}
	if len(at.Copies) != 2 || hostOf(at.Copies[0].Dev) == hostOf(at.Copies[1].Dev) {
		return fmt.Errorf("%s: got copies %v; want two, on two hosts", key(i), at.Copies)
	}
	want := content(i)
	for _, c := range at.Copies {
		if !slices.Contains(r.living, c.Dev) {
			return fmt.Errorf("%s: got a copy on device %d; want it on one of %v", key(i), c.Dev, r.living)
		}
		got, err := r.get(ctx, c.URL)
		if err != nil {
			return fmt.Errorf("%s: %w", key(i), err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: got %d other bytes from %s; want the %d that were uploaded", key(i), len(got), c.URL, len(want))
		}
	}
	return nil
}
