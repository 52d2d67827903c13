package mogile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DomainID is the number of a domain in the tables (dmid); it starts at 1.
type DomainID uint16

// DomainName names a namespace of keys.
type DomainName string

// ClassID numbers a class within its domain. Zero is the implicit class
// [DefaultClass].
type ClassID uint8

// String is the plain decimal number, as on the wire.
func (c ClassID) String() string { return strconv.FormatUint(uint64(c), 10) }

// ClassName names a class within its domain.
type ClassName string

// DefaultClass is the class every domain has, with or without a row
// (docs/spec/tracker-protocol.md §5.2).
const DefaultClass ClassName = "default"

// Class says how the files of a domain that belong to it are kept.
type Class struct {
	Domain DomainID
	ID     ClassID
	Name   ClassName
	// MinDevCount is how many copies a file must have.
	MinDevCount int
	// Policy is the replication policy as written, such as MultipleHosts(3);
	// empty means MultipleHosts().
	Policy string
	// Hash is what the files' checksums are made with.
	Hash HashType
}

// Key is a file's name within its domain: any bytes but NUL.
type Key string

// maxKeyChars is the width of the column file.dkey (docs/spec/schema.md §1).
const maxKeyChars = 255

// Validate says why a key can't be stored: empty, over 255 characters (bytes,
// when it is not UTF-8), or with a NUL byte, which no database keeps alike.
func (k Key) Validate() error {
	switch {
	case k == "":
		return fmt.Errorf("key is empty")
	case k.chars() > maxKeyChars:
		return fmt.Errorf("key has %d characters: at most %d fit", k.chars(), maxKeyChars)
	case strings.IndexByte(string(k), 0) >= 0:
		return fmt.Errorf("key %q has a NUL byte", string(k))
	}
	return nil
}

func (k Key) chars() int {
	if utf8.ValidString(string(k)) {
		return utf8.RuneCountInString(string(k))
	}
	return len(k)
}
