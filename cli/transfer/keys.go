package transfer

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// pageSize is the most keys that trackers list at once.
const pageSize = 1000

// Keys are the keys with a prefix, in the database's order. It ends after an error.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[mogile.Key, error] {
	return func(yield func(mogile.Key, error) bool) {
		after, ask := "", prefix
		for {
			page, err := s.page(ctx, ask, after)
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range page {
				if !begin(string(key), prefix) { // the page was asked for without it
					return
				}
				if !yield(key, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			after = string(page[len(page)-1])
			// An old tracker takes the prefix for a regular expression when it is asked
			// for what comes after a key (docs/spec/tracker-protocol.md §6.6).
			if strings.ContainsAny(prefix, `\+*?()[]{}|^$`) {
				ask = ""
			}
		}
	}
}

// begin reports whether a key has a prefix, perhaps in another case: so do databases.
func begin(key, prefix string) bool {
	return len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
}

// page is the next keys; none is no error.
func (s *Store) page(ctx context.Context, prefix, after string) ([]mogile.Key, error) {
	var args protocol.Pairs
	args.Add("domain", string(s.Domain))
	args.Add("prefix", prefix)
	args.Add("after", after)
	args.AddInt("limit", pageSize)
	v, err := s.Trackers.Do(ctx, "list_keys", args)
	if errors.Is(err, protocol.NoneMatch) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var page []mogile.Key
	for i := int64(1); i <= protocol.Num(v["key_count"]); i++ {
		key, ok := v["key_"+strconv.FormatInt(i, 10)]
		if !ok {
			break
		}
		page = append(page, mogile.Key(key))
	}
	return page, nil
}
