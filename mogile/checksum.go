package mogile

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// HashType is the number a checksum's algorithm has in the tables. The zero value
// is no checksum.
type HashType uint8

// The algorithms of docs/spec/schema.md §1, table class.
const (
	HashNone HashType = 0
	HashMD5  HashType = 1
	HashSHA1 HashType = 2
)

// ParseHashType reads MD5, SHA-1 or NONE.
func ParseHashType(s string) (HashType, error) {
	switch s {
	case "MD5":
		return HashMD5, nil
	case "SHA-1":
		return HashSHA1, nil
	case "NONE":
		return HashNone, nil
	}
	return HashNone, fmt.Errorf("hashtype %q: want MD5, SHA-1 or NONE", s)
}

// String is the algorithm's name on the wire.
func (t HashType) String() string {
	switch t {
	case HashMD5:
		return "MD5"
	case HashSHA1:
		return "SHA-1"
	}
	return "NONE"
}

// New starts a digest of the algorithm; nil for [HashNone].
func (t HashType) New() hash.Hash {
	switch t {
	case HashMD5:
		return md5.New()
	case HashSHA1:
		return sha1.New()
	}
	return nil
}

func (t HashType) size() int {
	switch t {
	case HashMD5:
		return md5.Size
	case HashSHA1:
		return sha1.Size
	}
	return 0
}

// Checksum is a digest with its algorithm. The zero value is no checksum.
type Checksum struct {
	Type HashType
	Sum  []byte
}

// ParseChecksum reads ALG:hex, as in MD5:d41d8cd98f00b204e9800998ecf8427e; the
// hex digits may be of either case.
func ParseChecksum(s string) (Checksum, error) {
	name, digits, _ := strings.Cut(s, ":")
	t, err := ParseHashType(name)
	if err != nil || t == HashNone {
		return Checksum{}, fmt.Errorf("checksum %q: want MD5:<hex> or SHA-1:<hex>", s)
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != t.size() {
		return Checksum{}, fmt.Errorf("checksum %q: want %d hex digits", s, 2*t.size())
	}
	return Checksum{Type: t, Sum: sum}, nil
}

// Hex is the digest in lower-case hex digits.
func (c Checksum) Hex() string { return hex.EncodeToString(c.Sum) }

// String is ALG:hex in lower case, or NONE.
func (c Checksum) String() string {
	if c.IsZero() {
		return HashNone.String()
	}
	return c.Type.String() + ":" + c.Hex()
}

// IsZero reports whether there is no checksum.
func (c Checksum) IsZero() bool { return c.Type == HashNone }

// Equal reports whether both have the same algorithm and digest.
func (c Checksum) Equal(o Checksum) bool { return c.Type == o.Type && bytes.Equal(c.Sum, o.Sum) }
