package storage

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// digestName is an algorithm by its name in RFC 9530's registry.
type digestName string

const (
	digestSHA256 digestName = "sha-256"
	digestSHA512 digestName = "sha-512"
	digestSHA1   digestName = "sha"
	digestMD5    digestName = "md5"
)

// digestNames is what can be asked for, the first of those that a client likes equally
// first. The last two are no proof against forgers; trackers compare with them.
var digestNames = [...]digestName{digestSHA256, digestSHA512, digestSHA1, digestMD5}

func (d digestName) newHash() hash.Hash {
	switch d {
	case digestSHA512:
		return sha512.New()
	case digestSHA1:
		return sha1.New()
	case digestMD5:
		return md5.New()
	}
	return sha256.New()
}

// sayDigest sets Repr-Digest when the request has Want-Repr-Digest (RFC 9530), which costs
// a reading of the whole file before the first byte is sent. An MD5 is also told as
// Content-MD5, unless there is a Range: that header is of the bytes sent. It reports
// false when the file can't be read; that is answered then.
func (n *Node) sayDigest(w http.ResponseWriter, r *http.Request, t target, g getting) bool {
	if r.Header["Want-Repr-Digest"] == nil {
		return true
	}
	name, ok := wantedDigest(r.Header["Want-Repr-Digest"])
	if !ok || condition(r.Header, &g.About) != 0 {
		return true
	}
	h, size := name.newHash(), g.Size()
	read, err := n.feed(r.Context(), h, io.NewSectionReader(g, 0, size))
	if err == nil && read < size {
		err = io.ErrUnexpectedEOF
	}
	if r.Context().Err() != nil {
		n.abort(t, err) // the client is gone
	}
	if err != nil {
		n.fail(w, t, fmt.Errorf("digest: at %d of %d bytes: %w", read, size, err))
		return false
	}
	sum := base64.StdEncoding.EncodeToString(h.Sum(nil))
	w.Header()["Repr-Digest"] = []string{string(name) + "=:" + sum + ":"}
	if name == digestMD5 && r.Header["Range"] == nil {
		w.Header()[contentMD5] = []string{sum}
	}
	return true
}

// feed hashes a reader to its end, and says how far it came.
func (n *Node) feed(ctx context.Context, h hash.Hash, from io.Reader) (read int64, err error) {
	buf := n.buffers.getLarge()
	defer n.buffers.putLarge(buf)
	for {
		got, err := from.Read(buf[:])
		h.Write(buf[:got])
		read += int64(got)
		if err == io.EOF {
			return read, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return read, err
		}
	}
}

// maxPreference is the most that one algorithm can be wanted; 0 is not at all.
const maxPreference = 10

// wantedDigest reads Want-Repr-Digest: algorithms with how much each is wanted, such as
// sha-256=5, md5=10;x. What it can't read, and what nobody here knows, is passed over; of
// an algorithm that is named twice the later mention counts. It reports false when
// nothing is left.
func wantedDigest(values []string) (best digestName, ok bool) {
	var wanted [len(digestNames)]int
	for _, v := range values {
		for member := range strings.SplitSeq(v, ",") {
			member, _, _ = strings.Cut(member, ";")
			name, preference, _ := strings.Cut(strings.Trim(member, " \t"), "=")
			if i := slices.Index(digestNames[:], digestName(name)); i >= 0 {
				wanted[i] = parsePreference(preference)
			}
		}
	}
	most := 0
	for i, preference := range wanted {
		if preference > most {
			best, most = digestNames[i], preference
		}
	}
	return best, most > 0
}

// parsePreference gives 0 for what is none.
func parsePreference(s string) int {
	if p, err := strconv.ParseUint(s, 10, 8); err == nil && p <= maxPreference {
		return int(p)
	}
	return 0
}
