package mogile

import (
	"fmt"
	"strconv"
	"strings"
)

// FID names one content for ever: an overwrite of a key is a new fid. Zero is no
// fid.
type FID uint64

// fidDigits is the least number of digits a fid has in a path; the first seven
// of them name the directories (docs/spec/storage-node.md §1.1).
const fidDigits = 10

// String is the plain decimal number, as on the wire.
func (f FID) String() string { return strconv.FormatUint(uint64(f), 10) }

// ParseFID reads a plain decimal fid. Zero, signs, blanks and anything beyond 64
// bits are errors.
func ParseFID(s string) (FID, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, fmt.Errorf("fid %q: want a positive decimal number", s)
	}
	return FID(n), nil
}

// Path is where the fid lies on a device, as a URI path: /dev2/0/005/000/0005000010.fid
// (docs/spec/storage-node.md §1.1).
func (f FID) Path(dev DevID) string {
	// On the stack: every read of a file asks for its path.
	var buf [len("18446744073709551615")]byte
	digits := strconv.AppendUint(buf[:0], uint64(f), 10)
	if missing := fidDigits - len(digits); missing > 0 {
		digits = append(append(buf[:0], zeros[:missing]...), strconv.FormatUint(uint64(f), 10)...)
	}
	b := make([]byte, 0, len("/dev16777215/0/000/000/")+len(digits)+len(".fid"))
	b = append(b, "/dev"...)
	b = strconv.AppendUint(b, uint64(dev), 10)
	b = append(b, '/', digits[0], '/')
	b = append(b, digits[1:4]...)
	b = append(b, '/')
	b = append(b, digits[4:7]...)
	b = append(b, '/')
	b = append(b, digits...)
	return string(append(b, ".fid"...))
}

const zeros = "0000000000"

// ParsePath is the inverse of [FID.Path]. It accepts exactly what Path makes.
func ParsePath(path string) (DevID, FID, error) {
	rest, ok := strings.CutPrefix(path, "/dev")
	dev, rest, found := strings.Cut(rest, "/")
	name := rest[strings.LastIndexByte(rest, '/')+1:]
	digits, isFID := strings.CutSuffix(name, ".fid")
	if ok && found && isFID {
		d, derr := ParseDevID(dev)
		f, ferr := ParseFID(strings.TrimLeft(digits, "0"))
		if derr == nil && ferr == nil && f.Path(d) == path {
			return d, f, nil
		}
	}
	return 0, 0, fmt.Errorf("path %q: want /dev<devid>/<d>/<ddd>/<ddd>/<fid of at least 10 digits>.fid", path)
}
