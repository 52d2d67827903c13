package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Error is a request that failed before anything was written, so that the caller
// can write the error page it likes. Its text names no node, device or path, and
// may be shown; what it hides was logged.
type Error struct {
	// Status is the HTTP status to answer.
	Status int
	// RetryAfter, when not 0, belongs into a Retry-After header, in seconds.
	RetryAfter time.Duration
	Err        error

	end tally.End // what the request counts as
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %v", e.Status, e.Err) }

// Unwrap gives the reason, which is or wraps one of the package's errors.
func (e *Error) Unwrap() error { return e.Err }

// Why a request can fail beside what a tracker refuses.
var (
	// ErrUnavailable: no tracker answered.
	ErrUnavailable = errors.New("no tracker answers")
	// ErrNoCopy: no copy of the file could be read.
	ErrNoCopy = errors.New("no copy can be read")
	// ErrNotStored: no destination took the upload.
	ErrNotStored = errors.New("no device took the file")
	// ErrTooLarge: the upload is over Config.MaxUpload.
	ErrTooLarge = errors.New("upload too large")
	// ErrForm: the body is a form and not a file.
	ErrForm = errors.New("a form can't be stored: send the file itself as the body, without multipart/form-data")
	// ErrPrecondition: If-Match or If-None-Match forbids the write.
	ErrPrecondition = errors.New("precondition failed")
	// ErrClientGone: the client went away before its answer.
	ErrClientGone = errors.New("client went away")
)

// retryAfter is how long clients should stay away after a 503: until what failed has been
// asked again a few times.
const retryAfter = 5 * time.Second

// statusClientGone is what nginx and Caddy log when there is nobody left to answer.
const statusClientGone = 499

// statuses maps the reasons to HTTP (docs/spec/edge.md §1.5); the first that an
// error wraps counts.
var statuses = [...]struct {
	reason error
	status int
	end    tally.End
}{
	{ErrUnknownKey, http.StatusNotFound, tally.NotFound},
	{ErrUnknownDomain, http.StatusNotFound, tally.NotFound},
	{ErrBadRequest, http.StatusBadRequest, tally.Refused},
	{ErrTooLarge, http.StatusRequestEntityTooLarge, tally.Refused},
	{ErrForm, http.StatusUnsupportedMediaType, tally.Refused},
	{ErrPrecondition, http.StatusPreconditionFailed, tally.Refused},
	{ErrNoSpace, http.StatusInsufficientStorage, tally.NoSpace},
	{ErrNoDevices, http.StatusServiceUnavailable, tally.NotStored},
	{ErrNoCopy, http.StatusServiceUnavailable, tally.NoCopy},
	{ErrNotStored, http.StatusServiceUnavailable, tally.NotStored},
}

// fail makes an Error of what went wrong: with the bare reason, because the rest of
// err names addresses, which go to the log. Faults of the client are logged at
// debug.
func (e *Edge) fail(ctx context.Context, req Request, err error) *Error {
	fault := &Error{Status: http.StatusServiceUnavailable, Err: ErrUnavailable, end: tally.NoTracker}
	if ctx.Err() != nil {
		fault = &Error{Status: statusClientGone, Err: ErrClientGone, end: tally.ClientGone}
	}
	for _, s := range statuses {
		if errors.Is(err, s.reason) {
			fault = &Error{Status: s.status, Err: s.reason, end: s.end}
			break
		}
	}
	log := e.log.Debug
	if fault.Status >= http.StatusInternalServerError {
		log = e.log.Warn
	}
	if fault.Status == http.StatusServiceUnavailable {
		fault.RetryAfter = retryAfter
	}
	log("request failed", req.field(), zap.Int("status", fault.Status), zap.Error(err))
	return fault
}

// badRequest is a fault of the client that it may be told in our own words.
func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("%w: "+format, append([]any{ErrBadRequest}, args...)...)}
}
