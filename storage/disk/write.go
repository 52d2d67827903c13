package disk

import (
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// Options says what is known of a file before its bytes.
type Options struct {
	// Size is the number of bytes to come; -1 when it is not known. Commit fails
	// when it was another number.
	Size int64
	// ModTime is given to the file; zero leaves it at the time of writing.
	ModTime time.Time
}

// Writer writes one file that appears under its name only by Commit. It is for one
// goroutine. Exactly one of Commit and Abort must be called; calling Abort after
// either does nothing, so that it can be deferred.
type Writer struct {
	device  *Device
	fs      guarded
	file    File // nil once closed
	name    string
	temp    string
	options Options
	fast    bool
	counted bool
	written int64
	failed  error // the first error of Write
	done    bool
}

// Write appends to the file. After an error Commit fails too.
func (w *Writer) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	n, err := w.file.Write(p)
	w.written += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.failed = fmt.Errorf("write %s: %w", w.name, classed(err))
	}
	return n, w.failed
}

// Commit publishes the file: once it returns nil, and unless the device is fast,
// the file survives a crash of the machine. On an error the temporary is gone and
// the target is as it was; only when the very last sync failed, the new file stays
// under its name, complete, since the old one can't be brought back.
func (w *Writer) Commit() error {
	if w.done {
		return errors.New("commit: the writer is done")
	}
	err := w.failed
	if err == nil && w.options.Size >= 0 && w.written != w.options.Size {
		err = fmt.Errorf("%w: %s got %d bytes of %d", ErrLength, w.name, w.written, w.options.Size)
	}
	if err == nil {
		err = w.count(w.publish)
	}
	w.Abort()
	if err != nil {
		return fmt.Errorf("commit %s: %w", w.name, classed(err))
	}
	return nil
}

// count counts what publish makes of the file, unless it is one of our own.
func (w *Writer) count(publish func() error) error {
	began := time.Now()
	err := publish()
	switch {
	case !w.counted:
	case err != nil:
		w.device.count(err)
	default:
		w.device.counts.Stored.Add(1)
		w.device.counts.Written.Add(w.written)
		w.device.counts.Syncs.Observe(time.Since(began))
	}
	return err
}

// publish goes from the temporary to the name.
//
// Order: 1. the file is synced, 2. its parents' entries are, 3. it is closed, 4. it
// is renamed, 5. its directory is synced, 6. the device is looked for at its path: a
// disk that was unmounted lazily, or a directory moved away, would have taken the file
// along. A crash before 4 leaves a temporary for
// the next sweep; one between 4 and 5 leaves the old or the new file, both whole,
// and nobody was told that the new one is stored. Closing comes before the rename
// because a network file system reports a failed write as late as that.
func (w *Writer) publish() error {
	if err := w.settle(); err != nil {
		return err
	}
	file := w.file
	w.file = nil
	if err := file.Close(); err != nil {
		return err
	}
	if err := w.fs.Rename(SitePut, w.temp, w.name); err != nil {
		return err
	}
	w.temp = ""
	if !w.fast {
		if err := w.device.syncDir(w.fs, SitePut, path.Dir(w.name)); err != nil {
			return err
		}
	}
	return w.device.still(w.fs.home)
}

// settle makes the temporary's content lasting, and the way to it.
func (w *Writer) settle() error {
	if !w.options.ModTime.IsZero() {
		if err := w.fs.SetModTime(SitePut, w.temp, w.options.ModTime); err != nil {
			return err
		}
	}
	if w.fast {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	return w.device.settleParents(w.fs, w.name)
}

// Abort gives the file up and releases all that the writer holds. A temporary that
// can't be removed stays for the next sweep.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	if w.temp != "" {
		w.fs.Remove(SiteAbort, w.temp)
	}
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	w.fs.Close()
}
