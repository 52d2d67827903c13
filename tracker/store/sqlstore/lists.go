package sqlstore

import (
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// perStatement is how many rows one statement names: more would save little.
const perStatement = 100

// statementSizes are the numbers of rows that statements name, so that few texts have to
// be prepared: what is fewer names the last one again.
var statementSizes = [...]int{1, 4, 16, 40, perStatement}

// padded repeats the last of at least one and at most perStatement rows until there are
// as many as a statement names.
func padded[T any](rows []T) []T {
	for _, size := range statementSizes {
		if len(rows) <= size {
			return append(slices.Clip(rows), slices.Repeat(rows[len(rows)-1:], size-len(rows))...)
		}
	}
	return rows
}

// inTwos are parts of rows, each of a power of two, so that few texts have to be prepared:
// for what can't be named twice.
func inTwos[T any](rows []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(rows) > 0 {
			n := min(1<<(bits.Len(uint(len(rows)))-1), maxChanges)
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// repeated is text n times, with what is between.
func repeated(text, between string, n int) string {
	return strings.Repeat(text+between, n-1) + text
}

// inList is a condition on so many fids, with its parameters.
type inList struct {
	condition string
	args      []any
	fids      int
}

// after is the parameters behind others.
func (in inList) after(others ...any) []any { return append(others, in.args...) }

// inLists are the conditions of as many statements as it takes to name all fids, each
// once and ascending: who locks many rows does it in one order.
func inLists(fids []mogile.FID) iter.Seq[inList] {
	return func(yield func(inList) bool) {
		for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(fids))), perStatement) {
			in := inList{fids: len(some)}
			for _, fid := range padded(some) {
				in.args = append(in.args, fid)
			}
			in.condition = "fid IN (" + repeated("?", ", ", len(in.args)) + ")"
			if !yield(in) {
				return
			}
		}
	}
}

// keyList is a condition on keys, of which there are at most perStatement.
func keyList(keys []domainKey) (in inList) {
	for _, l := range padded(keys) {
		in.args = append(in.args, l.dm, l.key)
	}
	in.condition = repeated("(dmid = ? AND dkey = ?)", " OR ", len(in.args)/2)
	return in
}
