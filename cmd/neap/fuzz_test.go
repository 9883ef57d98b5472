package main

import (
	"io"
	"strings"
	"testing"
)

// FuzzTrace: a workload is read or refused, and what is read can be played.
func FuzzTrace(f *testing.F) {
	const head = "id,cpu_units,memory_mib,arrival_s,departure_s,service\n"
	for _, rows := range []string{"a,256,512,0,60,web\n", "a,256,512,60,0,web\n", "a,-1,512,0,60,\n", "a,NaN,1e309,0,Inf,x\n", "a,1,1,0,1,x\na,1,1,0,1,x\n", "\"", "a,b\n", "\xff,1,1,0,1,\x00\n"} {
		f.Add(head + rows)
	}
	f.Add("\ufeff" + head)
	f.Fuzz(func(t *testing.T, text string) {
		tasks, err := readTrace("trace.csv", strings.NewReader(text), io.Discard)
		if err != nil {
			return
		}
		for _, task := range tasks {
			if task.ID == "" {
				t.Error("a task has no ID")
			}
		}
	})
}

// FuzzTypes: a table of instance types is read or refused.
func FuzzTypes(f *testing.F) {
	const head = "name,vcpus,memory_mib,price_per_hour,gpus\n"
	for _, rows := range []string{"m7i.large,2,8192,0.1,0\n", "a,0,0,0,0\n", "a,2,8192,NaN,0\n", "a,2,8192,-1,0\n", "a,9223372036854775807,1,1e300,1\n", "a,1,1,1,1\na,1,1,1,1\n", "\xff\n"} {
		f.Add(head + rows)
	}
	f.Fuzz(func(t *testing.T, text string) {
		types, err := readTypes("types.csv", strings.NewReader(text), io.Discard)
		if err != nil {
			return
		}
		for _, typ := range types {
			if typ.name == "" || typ.price < 0 || typ.capacity.Negative() {
				t.Errorf("read %+v", typ)
			}
		}
	})
}
