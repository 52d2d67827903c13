package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// measureOperations counts what one client's operations, one after the other, cost a
// MariaDB. Many at a time share statements and syncs, so that this is the most that they can
// cost.
func measureOperations(ctx context.Context, o options, dir, caddy string) (err error) {
	list, err := enginesOf("mariadb")
	if err != nil {
		return err
	}
	e := list[0]
	if err := e.open(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	i, err := install(ctx, caddy, e, 1000, 1000, true)
	if err != nil {
		return err
	}
	defer i.stop()
	for _, job := range []string{"replicate", "delete", "fsck"} {
		if err := i.want(ctx, 0, job); err != nil {
			return err
		}
	}
	u, err := i.newUploader(ctx)
	if err != nil {
		return err
	}
	defer u.close()
	fmt.Println("| operation, one client alone | statements |")
	fmt.Println("|---|---|")
	for _, op := range []struct {
		name string
		do   func(n int) error
	}{
		{"get_paths noverify=1", func(n int) error {
			return u.say("get_paths domain=images&noverify=1&key=%s", i.pictures.key(firstFID+n))
		}},
		{"get_paths", func(n int) error { return u.say("get_paths domain=images&key=%s", i.pictures.key(firstFID+n)) }},
		{"file_info", func(n int) error { return u.say("file_info domain=images&key=%s", i.pictures.key(firstFID+n)) }},
		{"upload: create_open, create_close", func(n int) error { return u.upload(fmt.Sprintf("counted/%d", n)) }},
		{"delete", func(n int) error { return u.say("delete domain=images&key=%s", i.doomed.key(i.doomed.first+n)) }},
		{"list_keys limit=100", func(n int) error { return u.say("list_keys domain=images&prefix=%s&limit=100", "pictures/") }},
	} {
		if err := count(ctx, e.server.Admin(), op.name, op.do); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
	}
	fmt.Println()
	return nil
}

func (u *uploader) say(format, key string) error {
	u.line = fmt.Appendf(u.line[:0], format+"\r\n", key)
	_, err := u.ask()
	return err
}

// questions is how many statements the server was sent.
func questions(ctx context.Context, db *sql.DB) (n float64, err error) {
	err = db.QueryRowContext(ctx, "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'QUESTIONS'").Scan(&n)
	return n, err
}

// count does an operation many times, and takes away what the tracker and the server do
// meanwhile by themselves.
func count(ctx context.Context, db *sql.DB, name string, do func(n int) error) error {
	const times = 500
	before, err := questions(ctx, db)
	if err != nil {
		return err
	}
	began := time.Now()
	for n := range times {
		if err := do(n); err != nil {
			return err
		}
	}
	after, err := questions(ctx, db)
	if err != nil {
		return err
	}
	took := time.Since(began)
	idle := time.NewTimer(took)
	defer idle.Stop()
	select {
	case <-idle.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	alone, err := questions(ctx, db)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.1f |\n", name, ((after-before)-(alone-after))/times)
	return nil
}
