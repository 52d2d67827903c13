package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// growthAim is how much slower an answer may be with many more files, memoryAim
	// how much memory the tracker may have then, in MiB.
	growthAim = 1.5
	memoryAim = 200
	// listed is how many keys a listing is asked for.
	listed = 100
)

// measureGrowth compares trackers with few and with very many files, side by side on the
// same database server.
func measureGrowth(ctx context.Context, o options, dir, caddy string) (err error) {
	fmt.Println("| database | work, 64 connections | files | per second | slower by | aim | p50 | p99 |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	var sizes []string // lines of the second table
	for _, e := range o.engines {
		if err := e.open(ctx, dir); err != nil {
			return err
		}
		size, err := growthOn(ctx, o, e, caddy)
		if err := errors.Join(err, e.close()); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		sizes = append(sizes, size)
	}
	fmt.Println("\n| database | files | memory of the tracker's process | aim | filling the tables took |")
	fmt.Println("|---|---|---|---|---|")
	fmt.Println(strings.Join(sizes, "\n"))
	return nil
}

// growthOn compares on one database, and returns what is to be said of sizes.
func growthOn(ctx context.Context, o options, e *engine, caddy string) (size string, err error) {
	few, err := install(ctx, caddy, e, o.files, 0, false)
	if err != nil {
		return "", err
	}
	defer few.stop()
	began := time.Now()
	lots, err := install(ctx, caddy, e, o.rows, 0, false)
	if err != nil {
		return "", err
	}
	defer lots.stop()
	filled := time.Since(began)
	for _, t := range []task{
		{name: "get_paths noverify=1", measure: onPictures(many, "get_paths domain=images&noverify=1&key=%s")},
		{name: fmt.Sprintf("list_keys limit=%d", listed), measure: onPictures(many, listing())},
	} {
		if err := compare(ctx, o, t, few, lots); err != nil {
			return "", fmt.Errorf("%s: %w", t.name, err)
		}
	}
	memory, err := residentMemory(lots.pid())
	return fmt.Sprintf("| %s | %d | %d MiB | < %d MiB | %.0f s |", e.name, o.rows, memory>>20, memoryAim, filled.Seconds()), err
}

// listing lists keys of the folder after a random one.
func listing() string {
	return fmt.Sprintf("list_keys domain=images&prefix=pictures/&limit=%d&after=%%s", listed)
}

func compare(ctx context.Context, o options, t task, few, lots *installation) error {
	var all [2]times
	fields := []*installation{few, lots}
	for range o.rounds {
		for n, i := range fields {
			if err := all[n].add(ctx, t, i, o.each); err != nil {
				return err
			}
		}
	}
	for n, i := range fields {
		ratio, aim := "", ""
		if n > 0 {
			ratio = fmt.Sprintf("%.2f", median(all[0].perSecond)/median(all[n].perSecond))
			aim = fmt.Sprintf("%.1f", growthAim)
		}
		fmt.Printf("| %s | %s | %d | %.0f | %s | %s | %.2f ms | %.2f ms |\n",
			i.engine.name, t.name, i.pictures.count(), median(all[n].perSecond), ratio, aim,
			median(all[n].p50)*1e3, median(all[n].p99)*1e3)
	}
	return nil
}
