package doctor

import (
	"fmt"
	"io"

	"github.com/mogilefs/caddy-mogilefs/cli/screen"
)

// Level is how well something is.
type Level string

// The levels, and the exit code that the worst of them becomes: 0, 1 and 2.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

func (l Level) exit() int {
	switch l {
	case Warn:
		return 1
	case Fail:
		return 2
	}
	return 0
}

// Finding is one thing that was looked at.
type Finding struct {
	Level Level `json:"level"`
	// About is what was looked at, such as clock of store1.
	About string `json:"about"`
	// Found is how it is.
	Found string `json:"found"`
	// Do is what to do about it; empty when nothing is to be done.
	Do string `json:"do,omitempty"`
}

func (f Finding) write(w io.Writer, p screen.Paint) {
	word := fmt.Sprintf("%-4s", f.Level)
	switch f.Level {
	case OK:
		word = p.Good(word)
	case Fail:
		word = p.Bad(word)
	}
	fmt.Fprintf(w, "%s  %s: %s", word, f.About, f.Found)
	if f.Do != "" {
		fmt.Fprintf(w, " – %s", f.Do)
	}
	fmt.Fprintln(w)
}

// report collects findings about one thing after the other.
type report []Finding

func (r *report) ok(about, format string, args ...any) {
	*r = append(*r, Finding{OK, about, fmt.Sprintf(format, args...), ""})
}

func (r *report) warn(about, do, format string, args ...any) {
	*r = append(*r, Finding{Warn, about, fmt.Sprintf(format, args...), do})
}

func (r *report) fail(about, do, format string, args ...any) {
	*r = append(*r, Finding{Fail, about, fmt.Sprintf(format, args...), do})
}

// worst is the exit code for all of them.
func (r report) worst() int {
	code := 0
	for _, f := range r {
		code = max(code, f.Level.exit())
	}
	return code
}
