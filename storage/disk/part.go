package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// Part writes a part of a file in place. It is for one goroutine. Exactly one of Commit
// and Abort must be called; calling Abort after either does nothing, so that it can be
// deferred.
//
// Nothing of it is atomic: what was written stays, whether or not Commit comes to be
// called, and a reader sees it at once. So a part belongs into a file that nobody was
// told of yet, and is repeated when it was not committed.
type Part struct {
	device  *Device
	fs      guarded
	file    File // nil once closed
	name    string
	length  int64
	written int64
	failed  error // the first error of Write
	done    bool
}

// OpenPart begins a part of length bytes at an offset. An absent file and missing
// directories below the device are made; an end of the file beyond the part stays where
// it is, and a gap before it reads as zeros.
func (d *Device) OpenPart(name string, offset, length int64) (*Part, error) {
	dir, err := d.enterToWrite()
	if err != nil {
		return nil, fmt.Errorf("open part of %s: %w", name, err)
	}
	p := &Part{device: d, fs: dir, name: name, length: length}
	if err := p.begin(offset); err != nil {
		p.Abort()
		return nil, fmt.Errorf("open part of %s: %w", name, classed(err))
	}
	return p, nil
}

func (p *Part) begin(offset int64) error {
	if err := p.fits(offset); err != nil {
		return err
	}
	file, err := p.fs.OpenAt(SitePart, p.name, offset)
	if errors.Is(err, fs.ErrNotExist) {
		if err = p.device.makeParents(p.fs, p.name); err == nil {
			file, err = p.fs.OpenAt(SitePart, p.name, offset)
		}
	}
	p.file = file
	return err
}

// fits refuses what can't be written before a byte of it is read. It only guesses: a part
// within the file may replace what is there.
func (p *Part) fits(offset int64) error {
	info, err := p.fs.Lstat(SitePart, p.name)
	switch {
	case err == nil && info.IsDir():
		return ErrIsDir
	case err == nil && offset+p.length <= info.Size():
		return nil
	}
	minFree := p.device.root.rules.MinFree
	if space, err := p.fs.Space(SitePart); err == nil && p.length > space.Available-minFree {
		return fmt.Errorf("%w: %d bytes are available, %d wanted, %d must be left", ErrNoSpace, space.Available, p.length, minFree)
	}
	return nil
}

// Write appends to the part. What is beyond its length is refused and not written: it
// would hit another part. After an error Commit fails too.
func (p *Part) Write(b []byte) (int, error) {
	if p.failed != nil {
		return 0, p.failed
	}
	if p.written+int64(len(b)) > p.length {
		p.failed = fmt.Errorf("%w: more than %d bytes for a part of %s", ErrLength, p.length, p.name)
		return 0, p.failed
	}
	n, err := p.file.Write(b)
	p.written += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		p.failed = fmt.Errorf("write part of %s: %w", p.name, classed(err))
	}
	return n, p.failed
}

// Commit makes the part lasting, unless the device is fast: once it returns nil, the
// part survives a crash of the machine.
//
// Order: 1. the bytes are synced, 2. the entries of the directories above are, 3. the
// file is closed, 4. its own entry is synced, always, since who finds the file there can't
// know that the one who made it has come so far, 5. the device is looked for at its path,
// as after a whole file. A crash leaves any of the bytes, and nobody was told that they are
// stored.
func (p *Part) Commit() error {
	if p.done {
		return errors.New("commit: the part is done")
	}
	err := p.failed
	if err == nil && p.written != p.length {
		err = fmt.Errorf("%w: a part of %s got %d bytes of %d", ErrLength, p.name, p.written, p.length)
	}
	if err == nil {
		err = p.settle()
	}
	p.Abort()
	if err != nil {
		return fmt.Errorf("commit part of %s: %w", p.name, classed(err))
	}
	return nil
}

func (p *Part) settle() error {
	fast := p.device.root.rules.Fast
	if !fast {
		if err := p.file.Sync(); err != nil {
			return err
		}
		if err := p.device.settleParents(p.fs, p.name); err != nil {
			return err
		}
	}
	file := p.file
	p.file = nil
	if err := file.Close(); err != nil {
		return err
	}
	if !fast {
		if err := p.device.syncDir(p.fs, SitePart, path.Dir(p.name)); err != nil {
			return err
		}
	}
	return p.device.still(p.fs.home)
}

// Abort releases all that the part holds. What was written stays.
func (p *Part) Abort() {
	if p.done {
		return
	}
	p.done = true
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
	p.fs.Close()
}
