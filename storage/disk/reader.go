package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mogilefs/caddy-mogilefs/storage/guard"
)

// Reader is a file open for reading. Its methods may be called by many goroutines. Whoever
// got it must call Close.
type Reader struct {
	file *os.File
	// device is set when each operation has to wait for its turn.
	device *Device
}

// Bare is the file itself, for the system to send it; nil on a device that is remote, where
// a read may hang for ever and must not do so unwatched.
func (r Reader) Bare() *os.File {
	if r.device != nil {
		return nil
	}
	return r.file
}

// Stat is what the system says of the file.
func (r Reader) Stat() (fs.FileInfo, error) {
	if r.device == nil {
		return r.file.Stat()
	}
	info, err := guard.Try(r.device.reading, r.file.Stat, nil)
	if err != nil {
		r.device.Suspect(err)
	}
	return info, r.device.classed(err)
}

// ReadAt implements io.ReaderAt.
func (r Reader) ReadAt(p []byte, off int64) (int, error) {
	if r.device == nil {
		return r.file.ReadAt(p, off)
	}
	// Into memory of its own: what hangs may write there long after p is somebody else's.
	got, err := guard.Try(r.device.reading, func() ([]byte, error) {
		own := make([]byte, len(p))
		n, err := r.file.ReadAt(own, off)
		return own[:n], err
	}, nil)
	if err != nil && err != io.EOF {
		r.device.Suspect(err)
		err = r.device.classed(err)
	}
	return copy(p, got), err
}

// Close ends the use of the file.
func (r Reader) Close() error {
	if r.device == nil {
		return r.file.Close()
	}
	_, err := guard.Try(r.device.reading, func() (struct{}, error) { return struct{}{}, r.file.Close() }, nil)
	if errors.Is(err, ErrStalled) || errors.Is(err, ErrBusy) {
		// If it hangs already this comes second, which does no harm.
		r.device.closer.Add(r.file)
	}
	return err
}

// Open opens a file for reading.
func (d *Device) Open(name string) (Reader, error) {
	r, err := d.openReader(name)
	if err != nil {
		d.Suspect(err)
		return Reader{}, fmt.Errorf("open %s: %w", name, d.classed(err))
	}
	return r, nil
}

func (d *Device) openReader(name string) (Reader, error) {
	if d.Remote() {
		f, err := guard.Try(d.reading, func() (*os.File, error) { return d.openFile(name) }, func(f *os.File) { f.Close() })
		return Reader{f, d}, err
	}
	slot, err := d.reading.Enter(0)
	if err != nil {
		return Reader{}, err
	}
	defer d.reading.Leave(slot)
	f, err := d.openFile(name)
	return Reader{file: f}, err
}

// openFile tells a file that is absent from a disk that is: a tracker would take it for a
// lost copy.
func (d *Device) openFile(name string) (*os.File, error) {
	f, err := openBeneath(d.path, name)
	if errors.Is(err, fs.ErrNotExist) {
		if merr := d.ready(isMountPoint(d.path)); merr != nil {
			return nil, merr
		}
	}
	return f, err
}

func openInRoot(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(name)
	return f, escaped(err)
}
