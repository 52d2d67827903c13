package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func rm() *frame.Command {
	return &frame.Command{
		Name: "rm", Args: []string{"[key...]"}, Short: "Delete files, by their keys or by a prefix",
		Long: "As mogdelete: --key=KEY. With --prefix= it asks first, unless --yes is given.",
		Run:  within(runRm),
		Options: []frame.Option{
			domainOption, keyOption,
			{Name: "prefix", Value: "prefix", Help: "all keys that begin so"},
			{Name: "yes", Help: "don't ask"},
			parallelOption,
		},
	}
}

func runRm(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	keys := c.Rest("key")
	if one := c.Option("key"); one != "" {
		keys = append(keys, one)
	}
	b, err := newBatch(c, "deleted")
	if err != nil {
		return err
	}
	if !c.Given("prefix") {
		if len(keys) == 0 {
			return errors.New("nothing to delete: name keys, or give --prefix=")
		}
		return remove(ctx, b, s, named(keys))
	}
	if len(keys) > 0 {
		return errors.New("--prefix= goes without keys")
	}
	// All are listed before the first is deleted: to tell how many, and not to page through
	// what changes.
	var all []string
	for key, err := range s.Keys(ctx, c.Option("prefix")) {
		if err != nil {
			return fail(c, s, "Error listing files", "", err)
		}
		all = append(all, string(key))
	}
	if err := confirm(c, fmt.Sprintf("Delete %d files that begin with %q in the domain %s?", len(all), c.Option("prefix"), s.Domain)); err != nil {
		return err
	}
	return remove(ctx, b, s, named(all))
}

func named(keys []string) iter.Seq2[mogile.Key, error] {
	return func(yield func(mogile.Key, error) bool) {
		for _, key := range keys {
			if !yield(mogile.Key(key), nil) {
				return
			}
		}
	}
}

func remove(ctx context.Context, b *batch, s *transfer.Store, keys iter.Seq2[mogile.Key, error]) error {
	return each(ctx, b, keys, func(ctx context.Context, key mogile.Key) (outcome, error) {
		if err := s.Trackers.Delete(ctx, s.Domain, key); err != nil {
			return done, fail(b.c, s, "Error deleting file", key, err)
		}
		return done, nil
	})
}

// confirm returns an error unless the operator says yes.
func confirm(c *frame.Call, question string) error {
	if c.Given("yes") {
		return nil
	}
	if !c.InTerminal {
		return &frame.Failure{Err: errors.New(question), Next: "nobody can be asked; say it with --yes"}
	}
	fmt.Fprintf(c.Stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(c.Stdin).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); err == nil && (word == "y" || word == "yes") {
		return nil
	}
	return errors.New("nothing was deleted")
}

func mv() *frame.Command {
	return &frame.Command{
		Name: "mv", Args: []string{"[key]", "[new_key]"}, Short: "Give a file another key, which must be free",
		Long: "As mogrename: --old_key=KEY --new_key=KEY.",
		Run:  within(runMv),
		Options: []frame.Option{
			domainOption,
			{Name: "old_key", Value: "key", Help: "the key"},
			{Name: "new_key", Value: "key", Help: "the new one"},
		},
	}
}

func runMv(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	from, err := oneOf(c, "key", "old_key")
	if err != nil {
		return err
	}
	to, err := oneOf(c, "new_key", "new_key")
	if err != nil {
		return err
	}
	if err := s.Trackers.Rename(ctx, s.Domain, mogile.Key(from), mogile.Key(to)); err != nil {
		return renameFailed(fail(c, s, "", mogile.Key(from), err))
	}
	c.Done("Renamed %s to %s.", from, to)
	return nil
}

// renameFailed words an error as mogrename does: with a blank where others have a colon.
func renameFailed(err error) error {
	var f *frame.Failure
	if !errors.As(err, &f) {
		return err
	}
	return &frame.Failure{Doing: "Error renaming file (key) from " + f.Error(), Next: f.Next}
}
