package storage

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// contentMD5 is the header's and the trailer's name.
const contentMD5 = "Content-Md5"

// put stores a file. Everything that can be known before the body is checked before
// it is read: a client that sends Expect then never sends it.
func (n *Node) put(w http.ResponseWriter, r *http.Request, t target) {
	if text := refusal(t); text != "" {
		refuse(w, http.StatusBadRequest, text)
		return
	}
	if t.name == usageName {
		refuse(w, http.StatusForbidden, "The node writes this file")
		return
	}
	part, ranged, err := parseContentRange(r.Header)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if ranged {
		n.putPart(w, r, t, part)
		return
	}
	sum := newBodySum(r)
	if err := sum.want(r.Header); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	dst, err := n.create(t, r)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	defer dst.Abort()
	n.store(w, r, t, upload{dst, sum})
}

// destination takes a body, and keeps it once Commit returned nil.
type destination interface {
	io.Writer
	Commit() error
	Abort()
}

// upload is where a body goes.
type upload struct {
	dst destination
	sum *bodySum
}

// store reads the body, checks it, publishes it and answers.
func (n *Node) store(w http.ResponseWriter, r *http.Request, t target, u upload) {
	w.Header().Del("Connection") // it gets its 100 (Continue) now: see refuseUnread
	readErr, writeErr := n.receive(u, r.Body)
	if writeErr != nil {
		n.fail(w, t, writeErr)
		return
	}
	if readErr != nil {
		refuse(w, bodyStatus(readErr), "Body ends early")
		return
	}
	// The trailer is there once the body has ended.
	err := u.sum.want(r.Trailer)
	if err == nil {
		err = u.sum.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := u.dst.Commit(); err != nil {
		n.fail(w, t, err)
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
}

// refusal says why nothing can be stored under a path; empty when it can.
func refusal(t target) string {
	switch t.kind {
	case pathFile:
		return ""
	case pathRoot, pathForeign:
		return "Does not meet minimum directory requirement"
	}
	return "Invalid filename"
}

func (n *Node) create(t target, r *http.Request) (*disk.Writer, error) {
	d, err := n.devices.get(t.dev)
	if err != nil {
		return nil, err
	}
	return d.Create(t.name, disk.Options{Size: r.ContentLength, ModTime: modTime(r.Header)})
}

// modTime is the time the request wants the file to have; zero for none. A time to
// come would make caches believe that the file never changes.
func modTime(h http.Header) time.Time {
	t, ok := date(h, "Last-Modified")
	if !ok || t.Unix() < 0 || t.After(time.Now()) {
		return time.Time{}
	}
	return t
}

// bodyStatus is for a body that could not be read to its end.
func bodyStatus(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// bodySum compares a body with the digests that header and trailer announce.
type bodySum struct {
	hash   hash.Hash // nil when nothing is announced
	wanted []string
}

// newBodySum starts a digest only when one is, or will be, there to compare with.
func newBodySum(r *http.Request) *bodySum {
	_, header := r.Header[contentMD5]
	_, trailer := r.Trailer[contentMD5]
	if !header && !trailer {
		return &bodySum{}
	}
	return &bodySum{hash: md5.New()}
}

// want adds what a header announces. Something that is no MD5 at all can't be met by
// any body.
func (s *bodySum) want(h http.Header) error {
	if s.hash == nil {
		return nil
	}
	for _, v := range h[contentMD5] {
		sum, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(sum) != md5.Size {
			return errors.New("Content-MD5 malformed: want 16 bytes in base64")
		}
		s.wanted = append(s.wanted, base64.StdEncoding.EncodeToString(sum))
	}
	return nil
}

func (s *bodySum) write(p []byte) {
	if s.hash != nil {
		s.hash.Write(p)
	}
}

func (s *bodySum) check() error {
	if s.hash == nil {
		return nil
	}
	actual := base64.StdEncoding.EncodeToString(s.hash.Sum(nil))
	for _, expected := range s.wanted {
		if expected != actual {
			return fmt.Errorf("Content-MD5 mismatch, expected: %s actual: %s", expected, actual)
		}
	}
	return nil
}
