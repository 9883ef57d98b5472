module github.com/neap-project/neap/libs/fleet

go 1.26.6
