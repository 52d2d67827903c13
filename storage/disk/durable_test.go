package disk

import "testing"

func TestKnownDirsAreBounded(t *testing.T) {
	var k knownDirs
	for i := range maxKnownDirs + 10 {
		k.add(string(rune(i)) + "/" + string(rune(i>>8)))
	}
	if len(k.dirs) > maxKnownDirs {
		t.Errorf("known: got %d; want at most %d", len(k.dirs), maxKnownDirs)
	}
}
