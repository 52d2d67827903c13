package protocol

import "strings"

const (
	upperHex = "0123456789ABCDEF"
	// unescaped is sent as it is beside letters and digits. It is part of the
	// contract: some clients never decode the paths they are given.
	unescaped = `_,-./\:`
)

// appendEscaped adds s as a name or value is written.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case isWord(c) || strings.IndexByte(unescaped, c) >= 0:
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&0xf])
		}
	}
	return b
}

// unescape undoes appendEscaped and accepts more: hex digits of either case, and
// a % that begins no byte stays one.
func unescape(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = nibble(s[i+1])<<4 | nibble(s[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func nibble(hex byte) byte {
	if hex <= '9' {
		return hex - '0'
	}
	return hex | 0x20 - 'a' + 10
}
