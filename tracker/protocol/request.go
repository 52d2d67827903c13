package protocol

import "strings"

// Request is one request line, decoded.
type Request struct {
	// Command is in lower case; empty when the line begins with none.
	Command string

	args []pair
}

type pair struct{ name, value string }

// commonArgs is how many arguments most requests have at most.
const commonArgs = 6

// blanks separate the command from its arguments; further on they are data.
const blanks = " \t"

// IsAdmin reports whether a line is an operator's command: a ! and something
// right behind it.
func IsAdmin(line []byte) bool {
	return len(line) > 1 && line[0] == '!' && strings.IndexByte(blanks, line[1]) < 0
}

// Parse decodes a line without its terminator. Every line is a request: one that
// makes no sense has a command nobody knows.
func Parse(line []byte) Request {
	s := strings.TrimLeft(string(line), blanks)
	end := 0
	for end < len(s) && isWord(s[end]) {
		end++
	}
	return Request{Command: strings.ToLower(s[:end]), args: parseArgs(strings.TrimLeft(s[end:], blanks))}
}

func parseArgs(s string) []pair {
	if s == "" {
		return nil
	}
	args := make([]pair, 0, commonArgs)
	for raw := range strings.SplitSeq(s, "&") {
		if raw == "" || raw == "0" {
			continue
		}
		// What follows a second = is dropped, as the protocol has it.
		name, rest, _ := strings.Cut(raw, "=")
		value, _, _ := strings.Cut(rest, "=")
		args = append(args, pair{unescape(name), unescape(value)})
	}
	return args
}

// Arg is the value of an argument, empty when it was not given.
func (r Request) Arg(name string) string {
	value, _ := r.Lookup(name)
	return value
}

// Lookup is Arg that tells an empty argument from an absent one. The values of an
// argument given more than once are joined with NUL bytes.
func (r Request) Lookup(name string) (value string, given bool) {
	var joined []byte // only once there is a second value
	for _, a := range r.args {
		switch {
		case a.name != name:
		case !given:
			value, given = a.value, true
		default:
			if joined == nil {
				joined = []byte(value)
			}
			// No NUL goes behind what is false so far.
			if len(joined) > 1 || len(joined) == 1 && joined[0] != '0' {
				joined = append(joined, 0)
			}
			joined = append(joined, a.value...)
		}
	}
	if joined != nil {
		value = string(joined)
	}
	return value, given
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
