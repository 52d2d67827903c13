package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// The other side of the protocol: what clients write and read.

// AppendRequest adds the line that asks for a command, terminator included.
func AppendRequest(b []byte, command string, args Pairs) []byte {
	b = append(b, command...)
	if len(args.b) > 0 {
		b = append(b, ' ')
		b = append(b, args.b...)
	}
	return append(b, "\r\n"...)
}

// Values is the pairs of an answer by their names, decoded. A pair that was sent
// twice counts as it was sent last.
type Values map[string]string

// ErrGarbled is what ParseReply's error wraps for a line that no tracker writes.
var ErrGarbled = errors.New("not the answer of a tracker")

// ParseReply reads the line that answers a request, with or without its
// terminator. A refusal is returned as an [*Error]; a line that is neither OK nor ERR
// as an error that wraps [ErrGarbled].
//
// It takes what any tracker has been known to send: pairs in random order, an OK
// with nothing behind it, a pair without =, a number between OK and the pairs, an
// ERR without text or with a callid.
func ParseReply(line []byte) (Values, error) {
	s := string(bytes.TrimRight(line, "\r\n"))
	status, rest, _ := strings.Cut(s, " ")
	switch status {
	case "OK":
		return parsePairs(withoutNumber(strings.TrimLeft(rest, blanks))), nil
	case "ERR":
		return nil, parseError(s, rest)
	}
	return nil, garbled(s)
}

// withoutNumber drops the number that very old trackers put before the pairs, as
// Perl's client does (docs/spec/tracker-protocol.md §10.1).
func withoutNumber(s string) string {
	digits := skipDigits(s, 0)
	if digits > 0 && digits < len(s) && strings.IndexByte(blanks, s[digits]) >= 0 {
		return strings.TrimLeft(s[digits:], blanks)
	}
	return s
}

func parsePairs(s string) Values {
	if s == "" {
		return Values{}
	}
	values := make(Values, strings.Count(s, "&")+1)
	for raw := range strings.SplitSeq(s, "&") {
		if raw == "" {
			continue
		}
		name, value, _ := strings.Cut(raw, "=")
		values[unescape(name)] = unescape(value)
	}
	return values
}

// parseError reads what follows ERR; the callid is of no use to anybody.
func parseError(line, rest string) error {
	words := strings.Fields(rest)
	if len(words) == 0 || strings.IndexFunc(words[0], notWord) >= 0 {
		return garbled(line)
	}
	refused := &Error{Code: Code(words[0])}
	if len(words) > 1 {
		refused.Text = unescape(words[1])
	}
	return refused
}

func notWord(r rune) bool { return r > 0x7f || !isWord(byte(r)) }

// garbledShown is how much of a line that makes no sense is shown: enough to tell
// who it is that answers there.
const garbledShown = 60

func garbled(line string) error {
	return fmt.Errorf("%w: %.*q", ErrGarbled, garbledShown, line)
}
