package sidechannel

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const lineEnd = "\r\n"

// ReadError is a digest that began and could not be finished.
type ReadError struct {
	Offset int64 // bytes read before
	Err    error
}

func (e *ReadError) Error() string { return fmt.Sprintf("read at %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// SizeAnswer is <uri> <bytes>, or -1 for a file that can't be looked at.
func SizeAnswer(uri string, size int64, err error) string {
	if err != nil {
		size = -1
	}
	return uri + " " + strconv.FormatInt(size, 10) + lineEnd
}

// DigestAnswer is <uri> <ALG>=<hex>, or -1 for a file that can't be opened.
func DigestAnswer(c Command, sum mogile.Checksum, err error) string {
	var read *ReadError
	switch {
	case errors.As(err, &read):
		return fmt.Sprintf("ERR read %s at %d failed%s", c.URI, read.Offset, lineEnd)
	case err != nil:
		return c.URI + " " + c.Hash.String() + "=-1" + lineEnd
	}
	return c.URI + " " + c.Hash.String() + "=" + sum.Hex() + lineEnd
}

// refusal answers what is neither a size nor a digest, and a shutdown that is not allowed.
func refusal(c Command) string {
	switch c.Verb {
	case Blank:
		return lineEnd
	case Traversal:
		return "ERROR: uri invalid (contains ..)" + lineEnd
	}
	return "ERROR: unknown command: " + c.Word + lineEnd
}
