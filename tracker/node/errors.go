package node

import (
	"errors"
	"fmt"
	"net/http"
)

// Whose fault it is that a copy failed.
var (
	// ErrSource: the copy could not be read as it should be.
	ErrSource = errors.New("source")
	// ErrDestination: the node did not take it.
	ErrDestination = errors.New("destination")
	// ErrLeftover comes with one of the two when bytes of the failed copy may lie at
	// the destination.
	ErrLeftover = errors.New("bytes may be left at the destination")
)

// What a node answered.
var (
	// ErrMissing: the node has no such file.
	ErrMissing = errors.New("no such file")
	// ErrUsage: the usage file came, but does not tell the sizes.
	ErrUsage = errors.New("unusable usage file")
	// ErrTimeout: the node let us wait too long.
	ErrTimeout = errors.New("node timed out")
)

// errStale: an exchange on a pooled connection broke off before any answer, so that it
// may have met a node that was just hanging up.
var errStale = errors.New("pooled connection broke")

// refused is the error for an answer that is not what was asked for.
func refused(resp *http.Response) error {
	return fmt.Errorf("%s %s: answered %s", resp.Request.Method, resp.Request.URL, resp.Status)
}

func ok(resp *http.Response) bool { return resp.StatusCode/100 == 2 }
