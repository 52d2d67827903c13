package upload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// hostOf is the beginning of the URL of a copy, which those on one host share.
func hostOf(c mogile.Copy) string {
	scheme, rest, _ := strings.Cut(c.URL, "://")
	addr, _, _ := strings.Cut(rest, "/")
	return scheme + addr
}

// Several writes the body to n destinations, and returns those, and all that may have
// something of it.
func Several(ctx context.Context, devices Devices, to []mogile.Copy, b *Body, n int, limits Limits) (stored, tried []mogile.Copy, err error) {
	s := &several{devices: devices, b: b, n: n, limits: limits, left: to}
	err = s.run(ctx)
	return s.stored, s.tried, err
}

// several brings an upload to several devices.
//
// Order: 1. the body streams to n destinations at once (Fan); those that fail are left
// behind, as long as there are as many others as are missing; 2. when all failed and
// nothing of the body is lost, the same with other destinations; 3. for each copy that is
// missing, another destination gets the bytes from a copy that is whole. So a body of any
// size comes to n devices when one copy of it did. A crash at any point leaves bytes on
// destinations that the tracker offered, which its sweep of old uploads removes.
type several struct {
	devices Devices
	b       *Body
	n       int
	limits  Limits

	left   []mogile.Copy // not tried yet, best first
	tried  []mogile.Copy
	stored []mogile.Copy // those of them that have it all, durably
}

func (s *several) run(ctx context.Context) error {
	err := s.together()
	for err != nil {
		if isFault(err) {
			return err
		}
		if !s.b.Rewind() || len(s.left) < s.n {
			return s.notStored(err)
		}
		err = s.together()
	}
	for len(s.stored) < s.n {
		if len(s.left) == 0 || len(s.stored) == 0 {
			return s.notStored(err)
		}
		err = s.fill(ctx, s.next(nil))
	}
	return nil
}

func (s *several) notStored(err error) error {
	return fmt.Errorf("%d of %d copies: %w", len(s.stored), s.n, errors.Join(ErrNotStored, err))
}

// next takes the best destination that is left: of those on another host than what is stored
// or chosen already, if there are any.
func (s *several) next(chosen []mogile.Copy) mogile.Copy {
	used := func(c mogile.Copy) bool {
		return slices.ContainsFunc(slices.Concat(s.stored, chosen), func(o mogile.Copy) bool { return hostOf(o) == hostOf(c) })
	}
	i := max(0, slices.IndexFunc(s.left, func(c mogile.Copy) bool { return !used(c) }))
	c := s.left[i]
	s.left = slices.Delete(slices.Clone(s.left), i, i+1)
	if !slices.Contains(s.tried, c) {
		s.tried = append(s.tried, c)
	}
	return c
}

// begin begins n copies. One that can't be is replaced at once.
func (s *several) begin() (at []mogile.Copy, copies []Copy, err error) {
	for len(copies) < s.n && len(s.left) > 0 {
		c := s.next(at)
		dst, cerr := s.devices.Create(c, s.b)
		if cerr != nil {
			s.devices.Blame(c, cerr)
			err = cerr
			continue
		}
		at, copies = append(at, c), append(copies, dst)
	}
	if len(copies) == s.n {
		return at, copies, nil
	}
	for _, dst := range copies {
		dst.Abort()
	}
	return nil, nil, err
}

// together writes the body to n destinations. It returns an error when none has it.
func (s *several) together() error {
	at, copies, err := s.begin()
	if copies == nil {
		return err
	}
	fan := NewFan(copies, s.n-len(s.left), s.limits)
	if err = s.b.Pump(fan); err == nil {
		err = s.b.Verify()
	}
	if err != nil {
		fan.Abort()
	} else {
		fan.Commit()
	}
	var failed error
	for i, c := range at {
		switch why := fan.Err(i); {
		case why != nil:
			s.devices.Blame(c, why)
			failed = errors.Join(failed, why)
		case err == nil:
			s.stored = append(s.stored, c)
		}
	}
	for _, late := range fan.Late() {
		s.devices.Await(late)
	}
	if err == nil && len(s.stored) == 0 {
		err = failed
	}
	return err
}

// fill brings a copy that is whole to another destination. When it turns out not to be, it
// does not count any more, and the destination is left for another.
func (s *several) fill(ctx context.Context, to mogile.Copy) error {
	from := s.stored[0]
	src, err := s.devices.Open(ctx, from, s.b.Passed())
	if err == nil {
		defer src.Close()
		err = write(s.devices, to, s.b.Again(src))
	} else {
		err = fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	switch {
	case err == nil:
		s.stored = append(s.stored, to)
	case errors.Is(err, ErrUnusable):
		s.devices.Blame(from, err)
		s.stored = s.stored[1:]
		s.left = append([]mogile.Copy{to}, s.left...)
	default:
		s.devices.Blame(to, err)
	}
	return err
}
