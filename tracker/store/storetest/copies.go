package storetest

import (
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var copyChecks = []check{
	{"DevicesAscend", devicesAscend},
	{"CopiesOfNoFileAreForTheDeleteJob", copiesOfNoFileAreForTheDeleteJob},
	{"RecordingAndForgettingTwiceIsFine", recordingAndForgettingTwiceIsFine},
	{"CopiesAreForgottenTogether", copiesAreForgottenTogether},
	{"DevicesOfManyAreThoseOfEach", devicesOfManyAreThoseOfEach},
	{"DevcountIsWhatTheColumnHolds", devcountIsWhatTheColumnHolds},
	{"DevcountRestsWhenItIsSkipped", devcountRestsWhenItIsSkipped},
	{"AChecksumIsReplaced", checksumIsReplaced},
	{"ForgetContentRemovesChecksumAndUpload", forgetContentRemovesChecksumAndUpload},
}

func (e env) devcount(fid mogile.FID, want int) {
	e.Helper()
	f, err := e.s.FileByFID(e.ctx, fid)
	e.must(err, "find fid %d", fid)
	e.same(f.DevCount, want, "devcount of fid %d", fid)
}

func devicesAscend(e env) {
	fid := e.put("key")
	for _, dev := range []mogile.DevID{300, 20, 32767} {
		e.must(e.s.AddCopy(e.ctx, fid, dev), "add copy")
	}
	e.devices(fid, 1, 20, 300, 32767)
	e.devcount(fid, 4)
}

func copiesOfNoFileAreForTheDeleteJob(e env) {
	e.devices(99)
	e.must(e.s.AddCopy(e.ctx, 99, 3), "add copy")
	e.devices(99, 3)
	e.queued(store.DeleteQueue, 99, true)
	e.must(e.s.RemoveCopies(e.ctx, 99, 3), "remove copy")
	e.devices(99)
}

func recordingAndForgettingTwiceIsFine(e env) {
	fid := e.put("key")
	for range 2 {
		e.must(e.s.AddCopy(e.ctx, fid, 2), "add copy")
		e.devices(fid, 1, 2)
		e.devcount(fid, 2)
	}
	for range 2 {
		e.must(e.s.RemoveCopies(e.ctx, fid, 1), "remove copy")
		e.devices(fid, 2)
		e.devcount(fid, 1)
	}
}

func copiesAreForgottenTogether(e env) {
	fid := e.put("key")
	for _, dev := range []mogile.DevID{2, 3, 4} {
		e.must(e.s.AddCopy(e.ctx, fid, dev), "add copy")
	}
	e.must(e.s.RemoveCopies(e.ctx, fid), "remove nothing")
	e.must(e.s.RemoveCopies(e.ctx, fid, 4, 1, 9), "remove copies")
	e.devices(fid, 2, 3)
	e.devcount(fid, 2)
}

func devicesOfManyAreThoseOfEach(e env) {
	want := map[mogile.FID][]mogile.DevID{}
	for _, fid := range manyFIDs() {
		for dev := range mogile.DevID(fid % 3) {
			e.must(e.s.AddCopy(e.ctx, fid, 20-dev), "add copy")
			want[fid] = append([]mogile.DevID{20 - dev}, want[fid]...)
		}
	}
	got, err := e.s.DevicesOf(e.ctx, append(manyFIDs(), 1, 999)...)
	e.must(err, "list devices of many")
	e.same(got, want, "devices of many")
	got, err = e.s.DevicesOf(e.ctx)
	e.must(err, "list devices of none")
	e.same(len(got), 0, "devices of none")
}

func devcountIsWhatTheColumnHolds(e env) {
	fid := e.put("key")
	together(260, func(i int) {
		if err := e.s.AddCopy(e.ctx, fid, mogile.DevID(i+1)); err != nil {
			e.Errorf("add copy: got %v; want nil", err)
		}
	})
	e.devcount(fid, 255)
}

func devcountRestsWhenItIsSkipped(e env) {
	fid := e.put("key")
	for _, c := range []struct {
		skip string
		dev  mogile.DevID
		want int
	}{{"1", 2, 1}, {"0", 3, 3}} {
		e.must(e.s.SetSetting(e.ctx, "skip_devcount", c.skip), "set skip_devcount")
		e.must(e.s.AddCopy(e.ctx, fid, c.dev), "add copy")
		e.devcount(fid, c.want)
	}
	e.must(e.s.UnsetSetting(e.ctx, "skip_devcount"), "unset skip_devcount")
	e.must(e.s.RemoveCopies(e.ctx, fid, 3), "remove copy")
	e.devcount(fid, 2)
}

func checksumIsReplaced(e env) {
	_, err := e.s.Checksum(e.ctx, 5)
	e.wants(store.ErrNotFound, err, "find checksum")
	for _, sum := range []mogile.Checksum{
		{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")},
		{Type: mogile.HashSHA1, Sum: []byte("\x00\xff\x80 123456789abcdef")},
	} {
		e.must(e.s.SetChecksum(e.ctx, 5, sum), "set checksum")
		got, err := e.s.Checksum(e.ctx, 5)
		e.must(err, "find checksum")
		e.same(got, sum, "checksum")
	}
}

func forgetContentRemovesChecksumAndUpload(e env) {
	fid := e.open("key")
	e.must(e.s.SetChecksum(e.ctx, fid, mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}), "set checksum")
	e.must(e.s.ForgetContent(e.ctx), "forget nothing")
	for range 2 {
		e.must(e.s.ForgetContent(e.ctx, append(manyFIDs(), fid)...), "forget content")
		_, err := e.s.Checksum(e.ctx, fid)
		e.wants(store.ErrNotFound, err, "find checksum")
		_, err = e.s.Upload(e.ctx, fid)
		e.wants(store.ErrNotFound, err, "find upload")
	}
}
