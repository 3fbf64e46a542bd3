from cases.case import Family
family = Family("server")
