package protocol

import (
	"math"
	"strconv"
	"strings"
)

// Truthy is truth as the protocol has it: the empty string and a single 0 are
// false, all else is true, also 00 and no.
func Truthy(s string) bool { return s != "" && s != "0" }

// Num is the number a value begins with, cut to an integer, 0 when it begins with
// none: 3abc is 3, 1e3 is 1000, abc is 0. Numbers beyond 64 bits are the nearest.
func Num(s string) int64 {
	s = strings.TrimLeft(s, blanks)
	whole := digitsAfterSign(s)
	end := fraction(s, whole)
	if end == whole {
		n, _ := strconv.ParseInt(s[:whole], 10, 64) // 0 when empty, the nearest when out of range
		return n
	}
	f, err := strconv.ParseFloat(s[:end], 64)
	switch {
	case err != nil && !math.IsInf(f, 0): // a lone sign or point
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

func digitsAfterSign(s string) int {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	return skipDigits(s, i)
}

// fraction is where the number ends whose integer part ends at i.
func fraction(s string, i int) int {
	if i < len(s) && s[i] == '.' {
		i = skipDigits(s, i+1)
	}
	if i == 0 || i == len(s) || s[i]|0x20 != 'e' {
		return i
	}
	if first := i + 1 + len(sign(s[i+1:])); skipDigits(s, first) > first {
		return skipDigits(s, first)
	}
	return i
}

func sign(s string) string {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[:1]
	}
	return ""
}

func skipDigits(s string, i int) int {
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}
