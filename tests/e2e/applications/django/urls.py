"""The admin, and a page that redirects by an absolute URL."""

from django.contrib import admin
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("moved/", lambda request: HttpResponseRedirect(request.build_absolute_uri("/arrived/"))),
    path("arrived/", lambda request: HttpResponse("<!doctype html><h1>Arrived</h1>")),
]
