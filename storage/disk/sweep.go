package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
)

// tempName is <name>.<random>.tmp. The letter before the random part tells ours
// from those of other nodes' software, which have digits there.
func tempName(name string) string {
	return fmt.Sprintf("%s.c%016x.tmp", name, rand.Uint64())
}

// TempSuffixLen is how much longer than its target a temporary's name is: a name
// must leave that much of the system's limit.
const TempSuffixLen = len(".c0123456789abcdef.tmp")

var tempPattern = regexp.MustCompile(`\.c[0-9a-f]{16}\.tmp$`)

// IsTemp reports whether a name is that of a temporary of ours.
func IsTemp(name string) bool { return tempPattern.MatchString(name) }

// Sweep removes temporaries that a crash left, all over the device, until ctx ends;
// those that a living process writes are left alone. It returns how many it
// removed.
func (d *Device) Sweep(ctx context.Context) (int, error) {
	dir, err := d.enter()
	if err != nil {
		return 0, fmt.Errorf("sweep %s: %w", d.path, err)
	}
	defer dir.Close()
	removed, err := sweep(ctx, dir, ".")
	if err != nil {
		return removed, fmt.Errorf("sweep %s: %w", d.path, err)
	}
	return removed, nil
}

// sweep goes on after an error: what can't be read must not keep the rest.
func sweep(ctx context.Context, dir FS, name string) (removed int, failed error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	entries, err := dir.ReadDir(SiteSweep, name)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		// Where we may not look we have not written; lost+found is such a place.
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		child := path.Join(name, e.Name())
		switch {
		case e.IsDir():
			n, err := sweep(ctx, dir, child)
			removed, failed = removed+n, errors.Join(failed, err)
		case IsTemp(e.Name()):
			ok, err := dir.RemoveAbandoned(SiteSweep, child)
			if ok {
				removed++
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
	}
	return removed, failed
}
