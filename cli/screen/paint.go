package screen

// Paint colours words; false leaves them as they are.
type Paint bool

// The sequences of the colours that all terminals have.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

func (p Paint) with(colour, s string) string {
	if !p || s == "" {
		return s
	}
	return colour + s + plain
}

// Good, Odd and Bad colour what is well, what deserves a look, and what is wrong.
func (p Paint) Good(s string) string { return p.with(green, s) }

// Odd: see [Paint.Good].
func (p Paint) Odd(s string) string { return p.with(yellow, s) }

// Bad: see [Paint.Good].
func (p Paint) Bad(s string) string { return p.with(red, s) }

// Strong makes a word stand out.
func (p Paint) Strong(s string) string { return p.with(bold, s) }

// State colours the state of a host or device, as decided or as observed.
func (p Paint) State(s string) string {
	switch s {
	case "alive", "writeable", "OK":
		return p.Good(s)
	case "readonly", "drain", "readable":
		return p.Odd(s)
	case "down", "dead", "unreachable":
		return p.Bad(s)
	}
	return s
}
