package edge

import (
	"fmt"
	"io"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// FileReader is [Disks] that can read a part of a small file without opening it for each
// reader.
type FileReader interface {
	// ReadCopy fills p with the bytes of the copy from off on, and returns the copy's length,
	// which may show that it is not the file, and when it was modified. That it is missing is
	// an error.
	ReadCopy(c mogile.Copy, fid mogile.FID, p []byte, off int64) (length int64, modified time.Time, err error)
}

// openSmall reads a part of a local copy, if the file is small; nil when it is to be opened. The part is
// written to the client with the header, which takes fewer calls of the system than to have it
// sent.
func (e *Edge) openSmall(c mogile.Copy, entry *cache.Entry, s semantics.Span) (io.ReadCloser, error) {
	disks, ok := e.config.Disks.(FileReader)
	if !ok || entry.Length > buffer.Size {
		return nil, nil
	}
	part := e.parts.New(s.N)
	if part == nil {
		return nil, nil
	}
	if err := e.readSmall(disks, c, entry, part.Bytes(), s.Off); err != nil {
		part.Close()
		return nil, err
	}
	return part, nil
}

func (e *Edge) readSmall(disks FileReader, c mogile.Copy, entry *cache.Entry, p []byte, off int64) error {
	device := e.health.Place(c).Device
	e.health.BeginOpen(device)
	defer e.health.EndOpen(device)
	length, modified, err := disks.ReadCopy(c, entry.FID, p, off)
	if err != nil {
		return fmt.Errorf("read local copy: %w", err)
	}
	if length != entry.Length {
		return fmt.Errorf("read local copy: %w: it has %d bytes; want %d", errWrongCopy, length, entry.Length)
	}
	device.Well()
	entry.Remember(modified)
	return nil
}
