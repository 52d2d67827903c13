package protocol

import "fmt"

// Error is an answer that is not OK. Ask errors.Is for a [Code], or errors.As for
// the whole.
type Error struct {
	Code Code
	// Text is for people; empty means the code's fixed text.
	Text string
}

// Fail returns an error with the code's fixed text.
func Fail(c Code) *Error { return &Error{Code: c} }

// Failf returns an error with a text of its own.
func Failf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Text: fmt.Sprintf(format, args...)}
}

// Error is the code and the text.
func (e *Error) Error() string { return string(e.Code) + ": " + e.text() }

// Unwrap is the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

func (e *Error) text() string {
	if e.Text != "" {
		return e.Text
	}
	return e.Code.Text()
}
