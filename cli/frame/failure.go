package frame

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Failure is an error as mogadm writes it: what was being done, and why it failed. The
// next step follows on a line of its own.
type Failure struct {
	// Doing begins the line, such as Error creating class.
	Doing string
	Err   error
	// Next is what can be done about it; empty when nobody knows.
	Next string
	// Exit is the exit code; 0 means the command's.
	Exit int
}

// Error is the line that scripts see.
func (f *Failure) Error() string {
	switch why := reason(f.Err); {
	case why == "":
		return f.Doing
	case f.Doing == "":
		return why
	default:
		return f.Doing + ": " + why
	}
}

// Unwrap is the reason.
func (f *Failure) Unwrap() error { return f.Err }

// Fail returns a failure; next is formatted with args.
func Fail(doing string, err error, next string, args ...any) *Failure {
	return &Failure{Doing: doing, Err: err, Next: fmt.Sprintf(next, args...)}
}

// reason is why: the code and the text of a tracker's refusal, with a blank between.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return strings.Replace(refused.Error(), ": ", " ", 1)
	}
	return err.Error()
}

// exit writes an error and returns the exit code.
func (c *Call) exit(err error) int {
	code := c.command.FailureExit
	if code == 0 {
		code = 1
	}
	if failure := c.Tell(err); failure.Exit != 0 {
		code = failure.Exit
	}
	return code
}

// Tell writes an error and what can be done about it.
func (c *Call) Tell(err error) *Failure {
	failure := new(Failure)
	if !errors.As(err, &failure) {
		failure = &Failure{Err: err}
	}
	if text := failure.Error(); text != "" {
		fmt.Fprintln(c.Stderr, text)
	}
	if next := c.nextStep(failure); next != "" {
		fmt.Fprintln(c.Stderr, "  "+next)
	}
	return failure
}

// nextStep is what can be done, with the trackers that were asked when the error is
// theirs.
func (c *Call) nextStep(f *Failure) string {
	var refused *protocol.Error
	next := f.Next
	switch {
	case errors.Is(f.Err, protocol.NotAllowed):
		next = "run it on the tracker's machine, or have its configuration let this one in: admin_allow"
	case errors.Is(f.Err, client.ErrUnreachable):
		next = "see whether they run, and name others with --trackers=host:port,... or in " + c.configName()
	case errors.Is(f.Err, client.ErrLost):
		next = "look whether it happened before you try again"
	case errors.Is(f.Err, protocol.Failure), errors.Is(f.Err, protocol.DB):
		next = "the tracker's log tells why"
	case !errors.As(f.Err, &refused):
		return next
	}
	asked := "asked " + strings.Join(c.addresses(), ", ")
	if next == "" {
		return asked
	}
	return asked + ": " + next
}

func (c *Call) configName() string {
	if c.SystemConfig != "" {
		return c.SystemConfig
	}
	return "a config file"
}
