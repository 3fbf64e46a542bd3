from cases.case import Family
family = Family("protocol")
