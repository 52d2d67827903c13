package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// importAim is how many files an import is to bring for one that comes by the upload path.
	importAim = 0.8
	// folderFiles is how many files a directory of the imported tree has.
	folderFiles = 500
	// manifestLine is about how long a line of a manifest is.
	manifestLine = 64
)

// importing is an installation with a directory tree beside it.
type importing struct {
	*installation
	caddy, tree string
	files, made int
}

// carrier brings small files, for so long or until all of a tree are there, and returns how many.
type carrier struct {
	name  string
	carry func(ctx context.Context, d time.Duration) (float64, error)
	// aim is how many times as many as the first carrier it should bring; 0 for none.
	aim float64
}

// measureImport prints how fast an import is, beside the upload path.
func measureImport(ctx context.Context, o options, dir, caddy string) error {
	fmt.Println("| files of 4 KiB, 64 at once | database | per second | against the first | aim | tracker's and node's time each | database's | the client's |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, e := range o.engines {
		if err := measureImportOn(ctx, o, e, dir, caddy); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

func measureImportOn(ctx context.Context, o options, e *engine, dir, caddy string) (err error) {
	if err := e.open(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	i, err := install(ctx, caddy, e, 1000, 0, false)
	if err != nil {
		return err
	}
	defer i.stop()
	im := &importing{installation: i, caddy: caddy, tree: filepath.Join(i.dir, "tree"), files: o.files}
	if err := im.plant(); err != nil {
		return err
	}
	return im.play(ctx, o)
}

// plant makes the tree.
func (im *importing) plant() error {
	for n := range im.files {
		folder := filepath.Join(im.tree, strconv.Itoa(n/folderFiles))
		if n%folderFiles == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(n)), smallBody, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (im *importing) carriers() []carrier {
	return []carrier{
		{name: "create_open, PUT, create_close", carry: func(ctx context.Context, d time.Duration) (float64, error) {
			began := time.Now()
			got, err := im.uploads(ctx, many, d)
			return got.perSecond * time.Since(began).Seconds(), err
		}},
		{name: "PUT through the edge", carry: func(ctx context.Context, d time.Duration) (float64, error) {
			began := time.Now()
			got, err := uploadsTo(im.edge, smallFile)(ctx, d)
			return got.perSecond * time.Since(began).Seconds(), err
		}},
		{name: "import", carry: im.importTree(0), aim: importAim},
		{name: "import, killed twice", carry: im.importTree(2), aim: importAim},
	}
}

// importTree brings the tree under new keys with a process that is killed so many times on the
// way, and begun again.
func (im *importing) importTree(kills int) func(context.Context, time.Duration) (float64, error) {
	return func(ctx context.Context, _ time.Duration) (float64, error) {
		im.made++
		prefix := fmt.Sprintf("import/%d/", im.made)
		manifest := filepath.Join(im.dir, fmt.Sprintf("manifest%d", im.made))
		args := []string{
			"mogilefs", "import", im.tree, "--trackers=" + im.tracker, "--domain=images", "--class=single",
			"--prefix=" + prefix, "--manifest=" + manifest,
		}
		for kill := 1; kill <= kills; kill++ {
			if err := im.killedAt(ctx, args, manifest, manifestLine*int64(im.files*kill/(kills+1))); err != nil {
				return 0, err
			}
		}
		if out, err := im.command(ctx, args).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("import: %w: %s", err, out)
		}
		return float64(im.files), im.complete(ctx, prefix)
	}
}

func (im *importing) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, im.caddy, args...)
	cmd.Dir, cmd.Env = im.dir, append(os.Environ(), "HOME="+im.dir, "XDG_DATA_HOME="+im.dir, "XDG_CONFIG_HOME="+im.dir)
	return cmd
}

// killedAt runs an import and kills it when the manifest is so long.
func (im *importing) killedAt(ctx context.Context, args []string, manifest string, length int64) error {
	cmd := im.command(ctx, args)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("it ended before it was killed: %w", err)
		case <-look.C:
		}
		if info, err := os.Stat(manifest); err == nil && info.Size() >= length {
			err := cmd.Process.Kill()
			<-ended // it was killed
			return err
		}
	}
}

// complete looks whether the tracker has all of the tree: else the figure does not count.
func (im *importing) complete(ctx context.Context, prefix string) error {
	db, err := im.engine.connect(im.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM file WHERE dkey LIKE '"+prefix+"%'").Scan(&n); err != nil {
		return err
	}
	if n != im.files {
		return fmt.Errorf("%d files under %s; want %d", n, prefix, im.files)
	}
	return nil
}

// play has all carriers bring files in turns, and prints the medians.
func (im *importing) play(ctx context.Context, o options) error {
	all := im.carriers()
	got := make([]times, len(all))
	for range o.rounds {
		for n, c := range all {
			if !o.only.MatchString(c.name) {
				continue
			}
			if err := im.add(ctx, &got[n], c, o.each); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for n, c := range all {
		if len(got[n].perSecond) > 0 {
			im.print(c, got[n], got[0])
		}
	}
	return nil
}

func (im *importing) add(ctx context.Context, a *times, c carrier, d time.Duration) error {
	if err := settleDisk(im.root); err != nil {
		return err
	}
	before, err := im.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	done, err := c.carry(ctx, d)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := im.cpu()
	if err != nil {
		return err
	}
	a.perSecond = append(a.perSecond, done/took)
	a.tracker = append(a.tracker, (after.tracker-before.tracker)/done)
	a.database = append(a.database, (after.database-before.database)/done)
	a.load = append(a.load, (after.load-before.load)/done)
	return nil
}

func (im *importing) print(c carrier, its, first times) {
	ratio, aim, database := "", "", ""
	if len(first.perSecond) > 0 {
		ratio = fmt.Sprintf("%.2f", median(its.perSecond)/median(first.perSecond))
	}
	if c.aim != 0 {
		aim = fmt.Sprintf("%.2f", c.aim)
	}
	if im.engine.pid != 0 {
		database = fmt.Sprintf("%.0f µs", median(its.database)*1e6)
	}
	fmt.Printf("| %s | %s | %.0f | %s | %s | %.0f µs | %s | %.0f µs |\n", c.name, im.engine.name,
		median(its.perSecond), ratio, aim, median(its.tracker)*1e6, database, median(its.load)*1e6)
}
