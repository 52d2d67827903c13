package files

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// manifest is the list of what an import or an export has done: a line for each file, with
// its checksum, its size, and its key in the quotes of Go, so that any key fits. It is written
// as files are done, so it holds after a kill what was done before: a later run leaves
// that out.
//
// A line is written in one piece; what a kill may leave of one is cut off.
type manifest struct {
	file *os.File
	// earlier says that there was an earlier run.
	earlier bool

	mu sync.Mutex // guards what follows
	// have is the keys that are done: true when they came up in this run.
	have map[[md5.Size]byte]bool
	last entry // of the lines that were there
	// unmet is how many keys of earlier runs did not come up yet; since is how many
	// lines were written since all had.
	unmet, since int
}

// entry is a line.
type entry struct {
	Sum  mogile.Checksum
	Size int64
	// End is where an archive goes on behind the file; 0 where there is none.
	End int64
	Key mogile.Key
}

func (e entry) String() string {
	return fmt.Sprintf("%s\t%d\t%d\t%s\n", e.Sum, e.Size, e.End, strconv.Quote(string(e.Key)))
}

// mark is the digest of a key, of which there may be many millions.
func mark(key mogile.Key) [md5.Size]byte { return md5.Sum([]byte(key)) }

// openManifest reads what an earlier run has written. The caller closes it.
func openManifest(name string) (*manifest, error) {
	_, missing := os.Stat(name)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	m := &manifest{file: f, earlier: missing == nil, have: map[[md5.Size]byte]bool{}}
	if err := m.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("manifest %s: %w", name, err)
	}
	return m, nil
}

func (m *manifest) read() error {
	lines := bufio.NewReaderSize(m.file, 1<<20)
	whole := int64(0)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // and what is left is no line
		}
		if err != nil {
			return err
		}
		e, err := parseEntry(line)
		if err != nil {
			return fmt.Errorf("line %d: %w: it is no manifest of ours; name another with --manifest=", n, err)
		}
		m.have[mark(e.Key)] = false
		m.last = e
		whole += int64(len(line))
	}
	m.unmet = len(m.have)
	if err := m.file.Truncate(whole); err != nil {
		return err
	}
	_, err := m.file.Seek(whole, io.SeekStart)
	return err
}

func parseEntry(line []byte) (entry, error) {
	fields := strings.SplitN(string(bytes.TrimSuffix(line, []byte("\n"))), "\t", 4)
	if len(fields) != 4 {
		return entry{}, fmt.Errorf("%d fields, want 4", len(fields))
	}
	var e entry
	var err error
	if e.Sum, err = mogile.ParseChecksum(fields[0]); err != nil {
		return entry{}, err
	}
	if e.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return entry{}, err
	}
	if e.End, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return entry{}, err
	}
	key, err := strconv.Unquote(fields[3])
	e.Key = mogile.Key(key)
	return e, err
}

// has reports whether the key is done.
func (m *manifest) has(key mogile.Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := mark(key)
	met, ok := m.have[k]
	if ok && !met {
		m.have[k] = true
		m.unmet--
	}
	return ok
}

// doubtful reports whether an earlier run may have done, without its line, what comes up now.
//
// It began files in the same order, and had at most maxParallel under way when it was killed.
// So all that it had done comes before the last key that has a line, or among the next so many;
// twice as many, as in this run, too, the order in which files are done is not quite that in
// which they begin.
func (m *manifest) doubtful() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.earlier && (m.unmet > 0 || m.since < 2*maxParallel)
}

// goesOn reports whether an earlier run has written any line.
func (m *manifest) goesOn() bool { return m.last.Key != "" }

// add writes a line.
func (m *manifest) add(e entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.file.WriteString(e.String()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	m.have[mark(e.Key)] = true
	if m.unmet == 0 {
		m.since++
	}
	return nil
}

func (m *manifest) close() { _ = m.file.Close() }
