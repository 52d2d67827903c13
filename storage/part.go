package storage

import (
	"errors"
	"math"
	"net/http"
	"strings"
)

// putPart writes a part of a file in place, for clients that send a large file in
// several pieces, at once or one after the other, before they tell the tracker of it. The
// node does not know which files a tracker was told of: that a fid's bytes stay what they
// are is in the hands of those who may write.
func (n *Node) putPart(w http.ResponseWriter, r *http.Request, t target, s span) {
	if r.ContentLength != s.length {
		refuse(w, http.StatusBadRequest, "Content-Range and Content-Length differ")
		return
	}
	sum := newBodySum(r)
	if err := sum.want(r.Header); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	d, err := n.devices.get(t.dev)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	dst, err := d.OpenPart(t.name, s.first, s.length)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	defer dst.Abort()
	n.store(w, r, t, upload{dst, sum})
}

var errContentRange = errors.New("Content-Range malformed: want bytes <first>-<last>/*")

// parseContentRange reads bytes <first>-<last>/*, which asks for a part to be written in
// place. part is false when the header asks for nothing: it is not there, or it has the
// file's length in place of the *, as those of whole files have. Whatever else it is must
// not be taken for a whole file.
func parseContentRange(h http.Header) (s span, part bool, err error) {
	values := h["Content-Range"]
	if len(values) == 0 {
		return span{}, false, nil
	}
	const unit = "bytes "
	v := values[0]
	if len(values) > 1 || len(v) < len(unit) || !strings.EqualFold(v[:len(unit)], unit) {
		return span{}, false, errContentRange
	}
	spec, total, ok := strings.Cut(strings.TrimSpace(v[len(unit):]), "/")
	a, b, dash := strings.Cut(spec, "-")
	first, aok := parsePosition(a)
	last, bok := parsePosition(b)
	if !ok || !dash || !aok || !bok || last < first || last >= math.MaxInt64-1 {
		return span{}, false, errContentRange
	}
	if _, known := parsePosition(total); known {
		return span{}, false, nil
	}
	if total != "*" {
		return span{}, false, errContentRange
	}
	return span{first, last - first + 1}, true, nil
}
